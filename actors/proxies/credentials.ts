// What a proxy shows to prove who it is, held against the keys and against what its name stands for.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import { PERMISSION_DENIED, UNAUTHENTICATED } from "../../core/grpc_status.ts";
import type { ProxyKey } from "../../core/proxy.ts";
import type { Draft, Resource, ResourceKey } from "../../core/resource.ts";
import { keyText } from "../../core/resource.ts";
import {
  type Admission,
  admitsDataplane,
  admitsZoneProxy,
} from "../../identity/tokens/admission.ts";
import type { DataplaneClaims, ZoneClaims } from "../../core/token.ts";
import {
  type Keyring,
  keyringOf,
  type KeySources,
  type TokenSecret,
} from "../../identity/tokens/keyring.ts";
import { recheckToken, type VerifiedToken, verifyToken } from "../../identity/tokens/verify.ts";

export interface Vault {
  readonly zone: string;
  /** Under a global: of zone tokens' keys only the public halves are here. */
  readonly federated: boolean;
  readonly keys?: ProxyKeySources;
  /** Owned tables, mutated in place. */
  readonly secrets: Map<string, TokenSecret>;
  /** Made when first needed, and forgotten when a secret changes. */
  readonly keyrings: Map<string, Keyring>;
}

/** What settings say of the keys of dataplanes' tokens, and of the zone's own proxies'. */
export type ProxyKeySources = Readonly<Record<"dataplane" | "zone", KeySources>>;

export function emptyVault(at: Pick<Vault, "zone" | "federated" | "keys">): Vault {
  const { zone, federated, keys } = at;
  return { zone, federated, ...(keys && { keys }), secrets: new Map(), keyrings: new Map() };
}

/** True when tokens have to be looked at again. */
export function keepSecret(vault: Vault, key: ResourceKey, resource: Resource | null): boolean {
  if (key.type !== "Secret" && key.type !== "GlobalSecret") return false;
  if (resource) vault.secrets.set(keyText(key), resource as TokenSecret);
  else vault.secrets.delete(keyText(key));
  vault.keyrings.clear();
  return true;
}

export interface Refused {
  readonly ok: false;
  /** A word for counters. */
  readonly reason: string;
  readonly code: number;
  /** What is wrong with which token, and what to do. */
  readonly message: string;
  /** It may be right later, without anybody's doing here. */
  readonly passing: boolean;
}

export type Vouched = { readonly ok: true; readonly token: VerifiedToken } | Refused;

/** What the proxy's name stands for: each must be the token's holder's to have. */
export interface Claimed {
  readonly resource: Pick<Draft, "mesh" | "name" | "labels" | "spec">;
  /** Not what it brings, but what is there already. */
  readonly held?: true;
}

/** Never throws, whatever was sent. */
export function vouch(
  vault: Vault,
  { key, credential, claimed, nowMs }: {
    readonly key: ProxyKey;
    /** As sent; null when nothing was. */
    readonly credential: string | null;
    readonly claimed: readonly Claimed[];
    readonly nowMs: number;
  },
): Vouched {
  const kind = kindOf(key);
  if (credential === null || credential === "") return missing(key);
  const verdict = verifyToken(kind, credential, keyringFor(vault, key), nowMs);
  if (!verdict.ok) {
    return {
      ok: false,
      reason: `token_${verdict.reason}`,
      code: UNAUTHENTICATED,
      message: verdict.message,
      // Keys may be on their way from global, clocks may be apart.
      passing: verdict.reason === "unknown_key" || verdict.reason === "not_yet_valid",
    };
  }
  return misfit(vault, verdict.token, { key, claimed }) ?? verdict;
}

/** The same for a token that was good once; null while it still is. */
export function withdrawn(
  vault: Vault,
  token: VerifiedToken,
  { key, claimed, nowMs }: {
    readonly key: ProxyKey;
    readonly claimed: readonly Claimed[];
    readonly nowMs: number;
  },
): Refused | null {
  // A stream outlives its token's time, as Kuma's do: only a new one is refused for it.
  const { expiresAtMs } = token;
  const asOfMs = expiresAtMs === null ? nowMs : Math.min(nowMs, expiresAtMs - 1);
  const refusal = recheckToken(token, keyringFor(vault, key), asOfMs);
  if (!refusal) return misfit(vault, token, { key, claimed });
  const { reason, message } = refusal;
  return { ok: false, reason: `token_${reason}`, code: UNAUTHENTICATED, message, passing: false };
}

function misfit(
  vault: Vault,
  token: VerifiedToken,
  { key, claimed }: { readonly key: ProxyKey; readonly claimed: readonly Claimed[] },
): Refused | null {
  if (key.type !== "dataplane") {
    const admission = admitsZoneProxy(token.claims as ZoneClaims, {
      zone: vault.zone,
      scope: key.type,
    });
    return admission.ok ? null : notFor(token, admission);
  }
  const claims = token.claims as DataplaneClaims;
  // Its tags are not known yet, its name is.
  if (claimed.length === 0) {
    const bare = { ...key, labels: {}, spec: { networking: {} } as DataplaneSpec };
    const admission = admitsDataplane({ ...claims, tags: {}, workload: "" }, bare);
    return admission.ok ? null : notFor(token, admission);
  }
  for (const { resource, held } of claimed) {
    const admission = admitsDataplane(
      claims,
      resource as unknown as Resource<DataplaneSpec>,
    );
    if (!admission.ok) return held ? taken(token, key, admission) : notFor(token, admission);
  }
  return null;
}

function keyringFor(vault: Vault, key: ProxyKey): Keyring {
  const kind = kindOf(key);
  const id = `${kind}/${key.mesh}`;
  const known = vault.keyrings.get(id);
  if (known) return known;
  const { federated, keys, secrets } = vault;
  const made = keyringOf({
    ...keys?.[kind],
    kind,
    mesh: key.mesh,
    federated,
    secrets: secrets.values(),
  });
  vault.keyrings.set(id, made);
  return made;
}

function kindOf({ type }: ProxyKey): keyof ProxyKeySources {
  return type === "dataplane" ? "dataplane" : "zone";
}

function missing(key: ProxyKey): Refused {
  const message = key.type === "dataplane"
    ? "a dataplane token is needed: " +
      `ursa ctl generate dataplane-token --mesh ${key.mesh} --name ${key.name} makes one`
    : `a zone token with scope ${key.type} is needed: ` +
      `ursa ctl generate zone-token --scope ${key.type} makes one`;
  return {
    ok: false,
    reason: "token_missing",
    code: UNAUTHENTICATED,
    message: `${message}; hand it to the dp process with --token-file`,
    passing: false,
  };
}

type Unfit = Admission & { readonly ok: false };

function notFor(token: VerifiedToken, { message }: Unfit): Refused {
  return {
    ok: false,
    reason: "token_not_for_this_proxy",
    code: PERMISSION_DENIED,
    message: `${message} (${facts(token)}). Start the proxy with a token that is for it`,
    passing: false,
  };
}

function taken(token: VerifiedToken, { mesh, name }: ProxyKey, { message }: Unfit): Refused {
  return {
    ok: false,
    reason: "token_takeover",
    code: PERMISSION_DENIED,
    message: `Dataplane ${mesh}/${name} is somebody else's: ${message} (${facts(token)}). ` +
      "Choose another name, or have the one that is there deleted",
    // Its owner may be about to leave.
    passing: true,
  };
}

function facts({ kind, keyId, id, issuer, expiresAtMs }: VerifiedToken): string {
  return [
    `${kind} token`,
    `key id "${keyId}"`,
    ...(id ? [`id "${id}"`] : []),
    ...(issuer ? [`issuer "${issuer}"`] : []),
    expiresAtMs === null ? "no expiry" : `expiry ${new Date(expiresAtMs).toISOString()}`,
  ].join(", ");
}
