// What a new control plane begins with: its cluster id, a mesh, and signing keys.

import type { WriteResult } from "../actors/hub/messages.ts";
import { UnavailableError } from "../core/errors.ts";
import {
  initialHostnameGenerators,
  type InitialPolicies,
  initialPoliciesOf,
} from "../core/initial_resources.ts";
import type { Draft } from "../core/resource.ts";
import type { Op } from "../store/store.ts";
import type { Parts } from "./run.ts";
import { missingTokenSecrets } from "./signing_keys.ts";
import type { ControlPlaneConfig } from "./settings.ts";

const CLUSTER_ID = { type: "Config", mesh: "", name: "kuma-cluster-id" } as const;
const DEFAULT_MESH = { type: "Mesh", mesh: "", name: "default", labels: {}, spec: {} };

/**
 * A zone under a global gets its meshes from there, with their signing keys.
 * kuma@v2.13.10:pkg/defaults.
 */
export async function ensureDefaults(
  parts: Parts,
  write: (ops: readonly Op[]) => Promise<WriteResult>,
): Promise<void> {
  const make = async (resources: readonly Draft[]) => {
    if (resources.length === 0) return;
    const result = await write(
      resources.map((resource) => ({ op: "put", expected: 0, resource })),
    );
    if (result.ok) return;
    throw new UnavailableError(`The defaults were not written: ${result.reason}`, 0);
  };
  await make([...firstResources(parts), ...missingGenerators(parts)]);
  const meshes = parts.store.list("Mesh").map(({ name }) => name);
  await make(await missingTokenSecrets({ ...parts, meshes }));
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
