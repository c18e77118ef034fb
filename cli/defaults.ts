// What a new control plane begins with: its cluster id, a mesh, and that mesh's signing key.

import { generateKeyPairSync } from "node:crypto";
import type { WriteResult } from "../actors/hub/messages.ts";
import { UnavailableError } from "../core/errors.ts";
import type { Op } from "../store/store.ts";
import type { Parts } from "./run.ts";

const CLUSTER_ID = { type: "Config", mesh: "", name: "kuma-cluster-id" } as const;
const DEFAULT_MESH = { type: "Mesh", mesh: "", name: "default" } as const;

/**
 * A zone under a global gets all of this from there. The signing key is what a new mesh has in
 * Kuma: kuma@v2.13.10:pkg/defaults/mesh.
 */
export async function ensureDefaults(
  { config, store }: Parts,
  write: (ops: readonly Op[]) => Promise<WriteResult>,
): Promise<void> {
  if (config.global !== null || store.get(CLUSTER_ID)) return;
  const result = await write([
    {
      op: "put",
      expected: 0,
      resource: { ...CLUSTER_ID, labels: {}, spec: { config: crypto.randomUUID() } },
    },
    { op: "put", expected: 0, resource: { ...DEFAULT_MESH, labels: {}, spec: {} } },
    { op: "put", expected: 0, resource: signingKey(DEFAULT_MESH.name) },
  ]);
  if (!result.ok) throw new UnavailableError(`The first mesh was not written: ${result.reason}`, 0);
}

function signingKey(mesh: string) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" }) as string;
  return {
    type: "Secret",
    mesh,
    name: `dataplane-token-signing-key-${mesh}-1`,
    labels: { "kuma.io/mesh": mesh },
    spec: { data: btoa(pem) },
  };
}
