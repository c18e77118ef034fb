// Certificates as one sees them from outside: what a proxy serves, and whom it lets in.

import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import tls from "node:tls";
import type { Proxy } from "../../cli/demo/cluster.ts";
import type { Rest } from "../../cli/demo/rest.ts";
import type { KeyPair } from "../../identity/ca.ts";
import { issueLeaf, openAuthority } from "../../identity/io/authority.ts";

/** A CA with its key, as only administrators can read it. */
export async function caOf(rest: Rest, mesh: string, backend: string): Promise<KeyPair> {
  const read = async (kind: string) => {
    const { data } = await rest.get<{ data: string }>(
      `/meshes/${mesh}/secrets/${mesh}.ca-builtin-${kind}-${backend}`,
    );
    return Buffer.from(data, "base64").toString();
  };
  return { cert: await read("cert"), key: await read("key") };
}

/** What a proxy of this mesh would have. */
export function clientOf(ca: KeyPair, mesh: string, service: string): KeyPair {
  const uris = [`spiffe://${mesh}/${service}`, `kuma://kuma.io/service/${service}`];
  return issueLeaf(openAuthority(ca), uris, { nowMs: Date.now(), lifetimeMs: 3_600_000 });
}

export interface Visit {
  /** Null when there was no handshake. */
  readonly certificate: X509Certificate | null;
  /** Status line of the answer; empty when the proxy closed the connection. */
  readonly status: string;
}

/** One request on a new TLS connection to a proxy's inbound. */
export function visit(proxy: Proxy, identity: KeyPair): Promise<Visit> {
  return new Promise((done) => {
    let text = "";
    let certificate: X509Certificate | null = null;
    const socket = tls.connect({
      host: proxy.address,
      port: proxy.port,
      // Who signed the proxy's certificate is looked at afterwards.
      rejectUnauthorized: false,
      ALPNProtocols: ["kuma", "http/1.1"],
      cert: identity.cert,
      key: identity.key,
    }, () => {
      const { raw } = socket.getPeerCertificate();
      if (raw) certificate = new X509Certificate(raw);
      socket.write("GET / HTTP/1.1\r\nhost: visit\r\nconnection: close\r\n\r\n");
    });
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("data", (part: Uint8Array) => text += Buffer.from(part).toString());
    socket.on("error", () => {});
    socket.on("close", () => done({ certificate, status: text.split("\r\n")[0] ?? "" }));
  });
}

export function isSignedBy(certificate: X509Certificate | null, ca: KeyPair): boolean {
  return certificate?.verify(new X509Certificate(ca.cert).publicKey) ?? false;
}

/** Serial numbers of the certificates that an Envoy presents, whatever their number. */
export async function serialsOf({ admin }: Proxy): Promise<string> {
  const { certificates } = await (await fetch(`${admin}/certs`)).json() as {
    certificates: { cert_chain?: { serial_number: string }[] }[];
  };
  const serials = certificates.flatMap(({ cert_chain = [] }) => cert_chain)
    .map(({ serial_number }) => serial_number);
  return [...new Set(serials)].sort().join(" ");
}
