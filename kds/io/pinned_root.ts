// The root of global's certificate, known by its fingerprint alone: asked of global once, then kept.

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { UnavailableError } from "../../core/errors.ts";
import { keepFile, readKept } from "./kept_file.ts";

export interface Pin {
  readonly host: string;
  readonly port: number;
  /** SHA-256 in lower-case hex; null: whatever was kept before. */
  readonly fingerprint: string | null;
  /** Where the root is kept. */
  readonly file: string;
}

const ANSWER_MS_MAX = 10_000;

/**
 * PEM of the root to verify global with; null when none was kept and none is wanted. Nothing is
 * said on the connection that asks, and nothing believed of it but a certificate that has the
 * fingerprint: every connection that carries anything is verified against that one.
 */
export async function pinnedRoot(pin: Pin): Promise<string | null> {
  const kept = await readKept(pin.file);
  if (kept !== null && (pin.fingerprint === null || fingerprintOf(kept) === pin.fingerprint)) {
    return kept;
  }
  if (pin.fingerprint === null) return null;
  const chain = await presented(pin);
  const found = chain.find((der) => hashOf(der) === pin.fingerprint);
  if (!found) {
    throw new UnavailableError(
      `global at ${pin.host}:${pin.port} has no certificate with the fingerprint ` +
        `sha256:${pin.fingerprint}; it shows ${
          chain.map((der) => `sha256:${hashOf(der)}`).join(", ") || "none"
        }. Nothing was sent. If its certificate is new, ask for another command with ` +
        "`ursa ctl zone join` there; if not, somebody is in between",
      1_000,
    );
  }
  const pem = pemOf(found);
  await keepFile(pin.file, pem);
  return pem;
}

/** The certificates that global shows, in DER. */
function presented({ host, port }: Pin): Promise<readonly Uint8Array[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      // Looked at, not trusted: see pinnedRoot().
      rejectUnauthorized: false,
      ...(isIP(host) === 0 && { servername: host }),
    }, () => {
      const chain = chainOf(socket.getPeerCertificate(true));
      socket.destroy();
      resolve(chain);
    });
    socket.setTimeout(ANSWER_MS_MAX, () => socket.destroy(new Error("global does not answer")));
    socket.once("error", reject);
  });
}

function chainOf(first: DetailedPeerCertificate): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = first;
  // A self-signed one is its own issuer.
  while (next?.raw && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}

function fingerprintOf(pem: string): string {
  const base64 = pem.replace(/-----[^-]+-----|\s/g, "");
  return hashOf(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
}

function hashOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

function pemOf(der: Uint8Array): string {
  const base64 = btoa(Array.from(der, (byte) => String.fromCharCode(byte)).join(""));
  const lines = base64.match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
