// Names of the Unix sockets on which a dp process and its Envoy meet. kuma@v2.13.10:pkg/core/xds/sockets.go.

/** The kernel takes 107 bytes, macOS 103; Kuma cuts here, and both sides must cut alike. */
const STEM_BYTES_MAX = 98;

export function accessLogSocket(workdir: string, proxy: SocketOwner): string {
  return socketIn(workdir, `kuma-al-${proxy.name}-${proxy.mesh}`);
}

export function readinessSocket(workdir: string): string {
  return socketIn(workdir, "kuma-readiness-reporter");
}

/** Where Envoy serves what the dp process polls: names for DNS, what to do about metrics. */
export function dynamicConfigSocket(workdir: string): string {
  return socketIn(workdir, "kuma-mesh-metric-config");
}

interface SocketOwner {
  readonly name: string;
  readonly mesh: string;
}

function socketIn(workdir: string, name: string): string {
  const folder = workdir.replace(/\/+$/, "");
  const stem = workdir === "" ? name : `${folder}/${name}`;
  const bytes = new TextEncoder().encode(stem).slice(0, STEM_BYTES_MAX);
  return `${new TextDecoder().decode(bytes)}.sock`;
}
