// What a control plane begins with: its cluster id, a mesh, signing keys, a zone's own Zone.

import type { WriteResult } from "../actors/hub/messages.ts";
import { UnavailableError } from "../core/errors.ts";
import {
  initialHostnameGenerators,
  type InitialPolicies,
  initialPoliciesOf,
} from "../core/initial_resources.ts";
import type { Draft } from "../core/resource.ts";
import { CLUSTER_ID_CONFIG } from "../kds/filter.ts";
import type { Op } from "../store/store.ts";
import type { Parts } from "./run.ts";
import { missingTokenSecrets } from "./signing_keys.ts";
import type { ControlPlaneConfig } from "./settings.ts";

export const CLUSTER_ID = { type: "Config", mesh: "", name: CLUSTER_ID_CONFIG } as const;
const DEFAULT_MESH = { type: "Mesh", mesh: "", name: "default", labels: {}, spec: {} };

/**
 * A zone under a global gets its meshes from there, with their signing keys.
 * kuma@v2.13.10:pkg/defaults.
 */
export async function ensureDefaults(
  parts: Parts,
  write: (ops: readonly Op[]) => Promise<WriteResult>,
): Promise<void> {
  const make = async (ops: readonly Op[]) => {
    if (ops.length === 0) return;
    const result = await write(ops);
    if (result.ok) return;
    throw new UnavailableError(`The defaults were not written: ${result.reason}`, 0);
  };
  const first = [...firstResources(parts), ...missingGenerators(parts)];
  tellWithoutEffect(first, parts);
  await make([...first.map(created), ...ownZone(parts)]);
  const meshes = parts.store.list("Mesh").map(({ name }) => name);
  await make((await missingTokenSecrets({ ...parts, meshes })).map(created));
}

function tellWithoutEffect(made: readonly Draft[], { kinds, log }: Parts): void {
  const types = new Set(
    made.map(({ type }) => type).filter((it) => kinds.byName(it)?.withoutEffect),
  );
  if (types.size === 0) return;
  log("warn", "made as --initial-policies asks, but no proxy acts on these kinds yet", {
    kinds: [...types].join(" "),
  });
}

export function newMeshOf(config: ControlPlaneConfig): InitialPolicies {
  return { kuma: config.initialPolicies === "kuma", routing: config.meshRoutingResources };
}

function firstResources({ config, store }: Parts): readonly Draft[] {
  if (config.global !== null || store.get(CLUSTER_ID)) return [];
  return [
    { ...CLUSTER_ID, labels: {}, spec: { config: crypto.randomUUID() } },
    DEFAULT_MESH,
    ...initialPoliciesOf(DEFAULT_MESH, newMeshOf(config)),
  ];
}

/** Kuma makes them anew at every start. */
function missingGenerators({ config, store }: Parts): readonly Draft[] {
  if (config.initialPolicies === "none") return [];
  return initialHostnameGenerators(config.mode === "global" ? "global" : "zone")
    .filter((generator) => !store.get(generator));
}

/**
 * A zone has one Zone, its own, so that its tools see themselves; a renamed one loses the former.
 * kuma@v2.13.10:pkg/defaults/zone.go
 */
function ownZone({ config: { zone }, store }: Parts): readonly Op[] {
  if (zone === "") return [];
  const key = { type: "Zone", mesh: "", name: zone };
  const others = store.list("Zone").filter(({ name }) => name !== zone);
  return [
    ...others.map(({ type, mesh, name }): Op => ({ op: "delete", key: { type, mesh, name } })),
    ...(store.get(key) ? [] : [created({ ...key, labels: {}, spec: {} })]),
  ];
}

function created(resource: Draft): Op {
  return { op: "put", expected: 0, resource };
}
