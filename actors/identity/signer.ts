// What is asked of the edge that makes keys and certificates.

import type { SignerCommand } from "../../identity/signing.ts";
import { command, type Effect } from "../runtime/actor.ts";

/** What could not be made or stored is asked for again after this. */
export const RETRY_MS = 5_000;

export function sign(ref: string, then: "ca_created" | "leaf_issued", what: SignerCommand): Effect {
  return command("signer", what, { then, ref });
}
