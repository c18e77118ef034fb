// Which Kuma this Ursa speaks like.

/** Peers and clients compare versions: same major, minor at most two apart. */
export const KUMA_VERSION = "2.13.10";

/**
 * The same major, and a minor at most two apart; of versions that are none nobody knows better.
 * kuma@v2.13.10:pkg/version/compatibility.go
 */
export function isCompatible(own: string, other: string): boolean {
  const [a, b] = [own, other].map((text) => /^v?(\d+)\.(\d+)/.exec(text));
  if (!a || !b || [own, other].some((text) => text.includes("preview"))) return true;
  return a[1] === b[1] && Math.abs(Number(a[2]) - Number(b[2])) <= 2;
}
