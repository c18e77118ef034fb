// The certificate by which a control plane serves, made at its first start and kept.

import { X509Certificate } from "node:crypto";
import { chmod, mkdir, open, readFile, rename } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { InvalidError } from "../../core/errors.ts";
import type { KeyPair } from "../ca.ts";
import { createServerCertificate, type Hosts, parsePair } from "./authority.ts";

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

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { readonly code?: string }).code === "ENOENT") return null;
    throw error;
  }
}

/** Whole or not at all, whatever interrupts it, and never readable by others. */
async function writeSafely(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
