// The signer port: carries out the identity actor's commands with real keys.

import type { PortResult } from "../../actors/runtime/actor.ts";
import type { KeyPair } from "../ca.ts";
import type { SignerCommand } from "../signing.ts";
import { type Authority, createCa, issueLeaf, openAuthority } from "./authority.ts";

/** CAs kept parsed: two per mesh while one is rotated. Far more meshes than that share the work. */
const AUTHORITIES_MAX = 256;

/** Answers in the same call: a certificate takes about a millisecond, and the actor asks one by one. */
export function signerPort(): (
  command: unknown,
  from: string,
  answer: (result: PortResult) => void,
) => void {
  const authorities = new Map<string, Authority>();

  function authority(ca: KeyPair): Authority {
    const known = authorities.get(ca.cert + ca.key);
    if (known) return known;
    if (authorities.size >= AUTHORITIES_MAX) authorities.clear();
    const opened = openAuthority(ca);
    authorities.set(ca.cert + ca.key, opened);
    return opened;
  }

  function carryOut(command: SignerCommand): unknown {
    switch (command.command) {
      case "create_ca":
        return createCa(command.mesh, command);
      case "issue":
        return issueLeaf(authority(command.ca), command.uris, command);
    }
  }

  return (command, _from, answer) => {
    let result: PortResult;
    try {
      result = { ok: true, value: carryOut(command as SignerCommand) };
    } catch (error) {
      result = { ok: false, error: (error as Error).message, retryable: false };
    }
    answer(result);
  };
}
