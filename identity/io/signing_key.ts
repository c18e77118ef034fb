// New signing keys for tokens.

import { generateKeyPairSync } from "node:crypto";
import { privateKeyPem } from "../tokens/rsa_key.ts";

/** kuma@v2.13.10:pkg/util/rsa (DefaultKeySize). */
const KEY_BITS = 2048;

/** PEM. Takes a tenth of a second. */
export function newSigningKey(): string {
  return privateKeyPem(generateKeyPairSync("rsa", { modulusLength: KEY_BITS }).privateKey);
}
