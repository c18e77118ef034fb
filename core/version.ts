// Hashes of content: the one place where a digest is taken.

import { createHash } from "node:crypto";

/** 64 lower-case hexadecimal digits. */
export function sha256Hex(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** 44 characters. */
export function sha256Base64(content: string): string {
  return createHash("sha256").update(content).digest("base64");
}

/**
 * The version of an encoded resource: equal bytes, equal version, in every process and at every
 * time. go-control-plane's rule for delta streams, by which Kuma's control planes compare too.
 */
export function contentHash(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}
