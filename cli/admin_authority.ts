// The control plane's way to Envoys' admin listeners: the authority that both sides trust, and its two certificates.

import { ADMIN_CLIENT, ADMIN_SERVER, type AdminTls, type EnvoyAdmin } from "../core/envoy_admin.ts";
import type { Resource } from "../core/resource.ts";
import { objectOf } from "../core/json.ts";
import { ADMIN_CA, adminCaOf, adminCaSecret } from "../identity/admin_ca.ts";
import { createAdminCa, issueNamed, openAuthority } from "../identity/io/authority.ts";
import type { KeyPair } from "../identity/ca.ts";
import type { WriteResult } from "../actors/hub/messages.ts";
import { InvalidError, UnavailableError } from "../core/errors.ts";
import type { Op, Store } from "../store/store.ts";
import { envoyAdmin } from "../xds/io/envoy_admin.ts";
import { ZONE_LABEL } from "../core/names.ts";

/** As long as Kuma's: they end with the process, and nobody would renew them before. */
const LIFETIME_MS = 10 * 365 * 24 * 3_600_000;

export interface AdminAuthority {
  /** What the listeners present and trust. */
  readonly server: AdminTls;
  /** What the control plane presents and trusts. */
  readonly client: AdminTls;
  /** What has to be stored before the next start finds the same authority. */
  readonly unwritten: readonly Op[];
}

/** The stored authority is there, and of no use. */
export interface AdminFault {
  readonly fault: string;
}

/**
 * Read once: a changed secret counts from the next start. One key for all listeners of a process,
 * since a proxy that was taken over gains nothing by being asked in another's place.
 */
export function adminAuthority(store: Pick<Store, "get">): AdminAuthority | AdminFault {
  const secret = store.get(ADMIN_CA);
  const stored = adminCaOf(secret);
  if (secret && !stored) return { fault: faultOf("it holds no certificate and key") };
  try {
    return authorityOf(stored);
  } catch (error) {
    if (!(error instanceof InvalidError)) throw error;
    return { fault: faultOf(error.message) };
  }
}

function faultOf(why: string): string {
  return `Envoys' admin APIs are closed to the control plane: ${why}, in GlobalSecret ` +
    `"${ADMIN_CA.name}"; delete it and start again to have a new one made`;
}

function authorityOf(stored: KeyPair | null): AdminAuthority {
  const life = { nowMs: Date.now(), lifetimeMs: LIFETIME_MS };
  const ca = stored ?? createAdminCa(life);
  const authority = openAuthority(ca);
  const end = (name: string, usage: "serverAuth" | "clientAuth"): AdminTls => {
    const { cert, key } = issueNamed(authority, { name, usage }, life);
    return { certificateChain: cert, privateKey: key, trustedCa: ca.cert };
  };
  return {
    server: end(ADMIN_SERVER, "serverAuth"),
    client: end(ADMIN_CLIENT, "clientAuth"),
    unwritten: stored ? [] : [{ op: "put", expected: 0, resource: adminCaSecret(ca) }],
  };
}

/** So that the next start finds the same authority: listeners of before are asked, too. */
export async function keepAuthority(
  authority: AdminAuthority | AdminFault | null,
  write: (ops: readonly Op[]) => Promise<WriteResult>,
): Promise<void> {
  if (!authority || "fault" in authority || authority.unwritten.length === 0) return;
  const result = await write(authority.unwritten);
  if (result.ok) return;
  throw new UnavailableError(
    `GlobalSecret "${ADMIN_CA.name}" was not written: ${result.reason}`,
    0,
  );
}

/** In a zone: its own proxies are asked directly. */
export function zoneEnvoyAdmin(
  authority: AdminAuthority | AdminFault,
  { store, zone }: { readonly store: Store; readonly zone: string },
): EnvoyAdmin {
  if ("fault" in authority) {
    const { fault } = authority;
    return () => Promise.resolve({ ok: false, reason: "unreachable", detail: fault });
  }
  const { client } = authority;
  return envoyAdmin({
    tls: client,
    find: (key) => store.get(key),
    elsewhere: (proxy) => {
      const home = homeOf(proxy);
      return home === "" || home === zone
        ? null
        : `${proxy.type} "${proxy.name}" is in zone "${home}": ask there, or at global`;
    },
  });
}

function homeOf({ spec, labels }: Resource): string {
  return String(objectOf(spec)["zone"] ?? labels[ZONE_LABEL] ?? "");
}
