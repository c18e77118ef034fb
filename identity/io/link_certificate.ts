// The certificate by which other zones know this one, made at its first start and kept: global tells
// the others, and they take no other.

import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { InvalidError } from "../../core/errors.ts";
import type { KeyPair } from "../ca.ts";
import { createLinkCertificate, parsePair } from "./authority.ts";
import { readText, writeSafely } from "./pem_files.ts";

/** Nobody can be told of another while global is gone. */
const LIFETIME_MS = 10 * 365 * 24 * 3_600_000;
/** Made anew when less is left: then there is time to tell the others. */
const REMAINING_MIN_MS = 180 * 24 * 3_600_000;

/** The pair in `dir` (`link.crt`, `link.key`), made when there is none that is valid for `host`. */
export async function ensureLinkCertificate(
  { dir, host }: { readonly dir: string; readonly host: string },
): Promise<KeyPair> {
  const [certFile, keyFile] = [join(dir, "link.crt"), join(dir, "link.key")];
  const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)]);
  if (cert !== null && key !== null && isGood({ cert, key }, host)) {
    await chmod(keyFile, 0o600);
    return { cert, key };
  }
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const pair = createLinkCertificate(host, { nowMs: Date.now(), lifetimeMs: LIFETIME_MS });
  await writeSafely(keyFile, pair.key);
  await writeSafely(certFile, pair.cert);
  return pair;
}

function isGood({ cert, key }: KeyPair, host: string): boolean {
  try {
    const { certificate } = parsePair(cert, key);
    const remainingMs = Date.parse(certificate.validTo) - Date.now();
    return certificate.checkHost(host) !== undefined && remainingMs > REMAINING_MIN_MS;
  } catch (error) {
    // Half written or damaged: a new one takes its place.
    if (error instanceof InvalidError) return false;
    throw error;
  }
}
