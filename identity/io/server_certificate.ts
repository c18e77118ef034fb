// The certificate by which a control plane serves, made at its first start and kept.

import { Buffer } from "node:buffer";
import { X509Certificate } from "node:crypto";
import { chmod, mkdir } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { InvalidError } from "../../core/errors.ts";
import type { KeyPair } from "../ca.ts";
import { createServerCertificate, type Hosts, parsePair } from "./authority.ts";
import { readText, writeSafely } from "./pem_files.ts";

/** As long as a mesh's CA: everybody who was given it as root would have to be told of another. */
const LIFETIME_MS = 10 * 365 * 24 * 3_600_000;
/** Made anew when less is left, so that a start is never followed by an expiry in the night. */
const REMAINING_MIN_MS = 30 * 24 * 3_600_000;

export interface ServerCertificate extends KeyPair {
  /** SHA-256, as `openssl x509 -fingerprint -sha256` prints it. */
  readonly fingerprint: string;
  /** The file to hand to peers as their root. */
  readonly certFile: string;
  /** Replaced: whoever was given the former one as root has to be given this. */
  readonly origin: "kept" | "created" | "replaced";
}

/**
 * The certificate in `dir` (`ca.crt`, `ca.key`), made when there is none that is readable,
 * valid, and covers every host (DNS names and IP addresses).
 */
export async function ensureServerCertificate(
  options: { readonly dir: string; readonly hosts: readonly string[] },
): Promise<ServerCertificate> {
  const { dir } = options;
  const hosts = sortHosts(options.hosts);
  const certFile = join(dir, "ca.crt");
  const keyFile = join(dir, "ca.key");
  const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)]);
  if (cert !== null && key !== null) {
    const kept = covering({ cert, key }, hosts);
    if (kept) {
      await chmod(keyFile, 0o600);
      return { cert, key, fingerprint: kept.fingerprint256, certFile, origin: "kept" };
    }
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const pair = createServerCertificate(hosts, { nowMs: Date.now(), lifetimeMs: LIFETIME_MS });
  await writeSafely(keyFile, pair.key);
  await writeSafely(certFile, pair.cert);
  const { fingerprint256 } = new X509Certificate(pair.cert);
  const origin = cert === null ? "created" : "replaced";
  return { ...pair, fingerprint: fingerprint256, certFile, origin };
}

/** Whether a client that dials `host` finds it in the certificate. */
export function certificateCovers(cert: string, host: string): boolean {
  const certificate = new X509Certificate(cert);
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  return found !== undefined;
}

/**
 * Why a PEM text is no root to verify a control plane by; null when it is one. A certificate that
 * says nothing of being a CA is taken: kuma@v2.13.10:pkg/xds/bootstrap/generator.go (caCert).
 */
export function faultOfRoot(pem: string): string | null {
  try {
    const certificate = new X509Certificate(pem);
    const saysNo = !certificate.ca && certificate.raw.includes(BASIC_CONSTRAINTS);
    return saysNo
      ? "A data plane proxy is trying to verify the control plane using the certificate which is " +
        "not a certificate authority: give --ca-cert-file the root that signed it"
      : null;
  } catch {
    return "caCert: must be a certificate in PEM form";
  }
}

/** The extension's object identifier, 2.5.29.19, in DER. */
const BASIC_CONSTRAINTS = Buffer.from([0x06, 0x03, 0x55, 0x1d, 0x13]);

function sortHosts(hosts: readonly string[]): Hosts {
  const unique = [...new Set(hosts)];
  return {
    names: unique.filter((host) => isIP(host) === 0),
    addresses: unique.filter((host) => isIP(host) !== 0),
  };
}

function covering(pair: KeyPair, hosts: Hosts): X509Certificate | null {
  try {
    const { certificate } = parsePair(pair.cert, pair.key);
    const covers = hosts.names.every((name) => certificate.checkHost(name) !== undefined) &&
      hosts.addresses.every((address) => certificate.checkIP(address) !== undefined);
    const remainingMs = Date.parse(certificate.validTo) - Date.now();
    return covers && remainingMs > REMAINING_MIN_MS ? certificate : null;
  } catch (error) {
    // Half written or damaged: a new one takes its place.
    if (error instanceof InvalidError) return null;
    throw error;
  }
}
