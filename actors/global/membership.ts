// Whether a zone is who it says: its token against this global's keys.

import type { Resource, ResourceKey } from "../../core/resource.ts";
import { keyText } from "../../core/resource.ts";
import { CONTROL_PLANE_SCOPE } from "../../core/token.ts";
import {
  type Keyring,
  keyringOf,
  type KeySources,
  type TokenSecret,
} from "../../identity/tokens/keyring.ts";
import { recheckToken, type VerifiedToken, verifyToken } from "../../identity/tokens/verify.ts";
import type { CallerInfo, CloseCode } from "../../kds/wire.ts";

export interface Gate {
  /** Zones that Kuma's control planes run, which have nothing to show. */
  readonly exempt: readonly string[];
  readonly keys?: KeySources;
  /** Owned table, mutated in place. */
  readonly secrets: Map<string, TokenSecret>;
  /** Made when first needed, and forgotten when a secret changes. */
  keyring: Keyring | null;
}

export function openGate({ exempt, keys }: Pick<Gate, "exempt" | "keys">): Gate {
  return { exempt, ...(keys && { keys }), secrets: new Map(), keyring: null };
}

/** True when tokens have to be looked at again. */
export function keepSecret(gate: Gate, key: ResourceKey, resource: Resource | null): boolean {
  if (key.type !== "GlobalSecret") return false;
  if (resource) gate.secrets.set(keyText(key), resource as TokenSecret);
  else gate.secrets.delete(keyText(key));
  gate.keyring = null;
  return true;
}

export interface Refused {
  readonly ok: false;
  /** A word for counters. */
  readonly reason: string;
  readonly code: CloseCode;
  readonly message: string;
}

export type Joined =
  /** Null: an exempt zone without one. */
  | { readonly ok: true; readonly token: VerifiedToken<"zone"> | null }
  | Refused;

/** Never throws, whatever was sent. */
export function mayJoin(
  gate: Gate,
  { zone, caller, nowMs }: {
    readonly zone: string;
    readonly caller: Pick<CallerInfo, "authorization">;
    readonly nowMs: number;
  },
): Joined {
  const { authorization } = caller;
  const advice = `\`ursa ctl zone join ${zone}\` on global prints how to join with one`;
  if (authorization.length === 0) {
    if (gate.exempt.includes(zone)) return { ok: true, token: null };
    return unauthenticated("token_missing", `zone "${zone}" has shown no zone token: ${advice}`);
  }
  if (authorization.length > 1) {
    return unauthenticated("token_malformed", "authorization must be given once");
  }
  const jwt = authorization[0]!.replace(/^Bearer /i, "");
  const verdict = verifyToken("zone", jwt, keyringOfGate(gate), nowMs);
  if (!verdict.ok) {
    return unauthenticated(`token_${verdict.reason}`, `${verdict.message}, or: ${advice}`);
  }
  const { token } = verdict;
  const misfit = misfitOf(token, zone);
  if (misfit === null) return verdict;
  return {
    ok: false,
    reason: "token_not_for_this_zone",
    code: "permission_denied",
    message: `the zone token ${misfit} (${factsOf(token)}): ${advice}`,
  };
}

/**
 * The same for a token that was good once; null while it still is. Streams outlive its time, as
 * those of proxies do: only a new one is refused for it.
 */
export function withdrawn(gate: Gate, token: VerifiedToken, nowMs: number): Refused | null {
  const { expiresAtMs } = token;
  const asOfMs = expiresAtMs === null ? nowMs : Math.min(nowMs, expiresAtMs - 1);
  const refusal = recheckToken(token, keyringOfGate(gate), asOfMs);
  return refusal && unauthenticated(`token_${refusal.reason}`, refusal.message);
}

/** A zone is known by its token alone: one that fits every zone, or none, makes nobody known. */
function misfitOf({ claims }: VerifiedToken<"zone">, zone: string): string | null {
  const { scope } = claims;
  if (!scope.includes(CONTROL_PLANE_SCOPE)) {
    return `is for ${scope.join(", ") || "nothing"}, not for a control plane ` +
      `(scope ${CONTROL_PLANE_SCOPE})`;
  }
  if (claims.zone === "") return "names no zone";
  return claims.zone === zone ? null : `is for zone "${claims.zone}", this says it is "${zone}"`;
}

function keyringOfGate(gate: Gate): Keyring {
  const { keys, secrets } = gate;
  gate.keyring ??= keyringOf({ ...keys, kind: "zone", mesh: "", secrets: secrets.values() });
  return gate.keyring;
}

function unauthenticated(reason: string, message: string): Refused {
  return { ok: false, reason, code: "unauthenticated", message };
}

function factsOf({ keyId, id, issuer, expiresAtMs }: VerifiedToken): string {
  return [
    `key id "${keyId}"`,
    ...(id ? [`id "${id}"`] : []),
    ...(issuer ? [`issuer "${issuer}"`] : []),
    expiresAtMs === null ? "no expiry" : `expiry ${new Date(expiresAtMs).toISOString()}`,
  ].join(", ");
}
