// New signing keys for tokens.

import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { privateKeyPem } from "../../core/rsa_key.ts";

/** kuma@v2.13.10:pkg/util/rsa (DefaultKeySize). */
const KEY_BITS = 2048;

/** PEM. Takes a tenth of a second, beside the event loop. */
export async function newSigningKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: KEY_BITS }) as {
    readonly privateKey: KeyObject;
  };
  return privateKeyPem(privateKey);
}
