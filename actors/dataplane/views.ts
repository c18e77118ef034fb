// The views of meshes that a proxy's configuration is made from: asked for, and told which parts it read.

import type { ViewKey } from "../../core/mesh_view.ts";
import { meshPath } from "../mesh/messages.ts";
import { type Context, type Effect, send, type Turn } from "../runtime/actor.ts";
import type { State } from "./state.ts";

export function readEffects(
  state: State,
  reads: ReadonlyMap<string, ReadonlySet<ViewKey>>,
  at: Context,
): readonly Effect[] {
  return [...reads].flatMap(([mesh, keys]) => {
    const before = state.reads.get(mesh);
    const view = state.views.get(mesh);
    if (!view || (before && sameSet(before, keys))) return [];
    return [send(meshPath(mesh), { tag: "view_read", by: at.self, keys, revision: view.revision })];
  });
}

export function watchMeshes(state: State, meshes: readonly string[], at: Context): Turn<State> {
  const effects = meshes.map((mesh) =>
    send(meshPath(mesh), { tag: "subscribe_view", to: at.self })
  );
  return [{ ...state, watched: new Set([...state.watched, ...meshes]) }, effects];
}

/** Its actor knows no reader: it is told again, also of what did not change. */
export function meshStarted(state: State, mesh: string, at: Context): Turn<State> {
  const reads = new Map([...state.reads].filter(([name]) => name !== mesh));
  return watchMeshes({ ...state, reads }, [mesh], at);
}

function sameSet<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): boolean {
  if (a.size !== b.size) return false;
  for (const item of b) if (!a.has(item)) return false;
  return true;
}
