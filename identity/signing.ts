// What the signer port is asked, and what it answers.

import type { KeyPair } from "./ca.ts";

export type SignerCommand =
  /** Answered with KeyPair: a new certificate authority. */
  | {
    readonly command: "create_ca";
    readonly mesh: string;
    readonly nowMs: number;
    readonly lifetimeMs: number;
  }
  /** Answered with IssuedLeaf: a new key, and a certificate for it signed by `ca`. */
  | {
    readonly command: "issue";
    readonly ca: KeyPair;
    readonly uris: readonly string[];
    readonly nowMs: number;
    readonly lifetimeMs: number;
  };

export interface IssuedLeaf extends KeyPair {
  /** Earlier than asked for when the CA ends before. */
  readonly expiresAtMs: number;
}
