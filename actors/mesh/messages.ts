// Everything that may be said to a mesh actor, and what it says to those who see its mesh.

import type { KindTable } from "../../core/kind_table.ts";
import type { MeshView, ViewKey } from "../../core/mesh_view.ts";
import type { ResourcesChanged } from "../hub/messages.ts";
import type { Message, Path } from "../runtime/actor.ts";

export function meshPath(mesh: string): Path {
  return `meshes/${mesh}`;
}

export interface MeshArgs {
  readonly mesh: string;
  /** The zone of this control plane. */
  readonly zone: string;
  /** Types of the policies that reach a view. */
  readonly policies: readonly string[];
  /** Of every type that reaches a view, by name. */
  readonly kinds: Pick<KindTable, "byName">;
}

export type MeshMsg =
  | ResourcesChanged
  /** The actor of a proxy wants the view: it comes at once, and whenever something it reads changed. */
  | { readonly tag: "subscribe_view"; readonly to: Path }
  /** `dataplanes/` is everybody below. */
  | { readonly tag: "unsubscribe_view"; readonly to: Path }
  /** What the newest snapshot of a proxy was made from. */
  | {
    readonly tag: "view_read";
    readonly by: Path;
    readonly keys: ReadonlySet<ViewKey>;
    readonly revision: number;
  }
  | { readonly tag: "ingress_written"; readonly ref: string; readonly value: unknown }
  | { readonly tag: "offer_due" }
  | { readonly tag: "mesh_deleted" };

export interface MeshChanged extends Message {
  readonly tag: "mesh_changed";
  readonly mesh: string;
  /** null: the mesh is gone. */
  readonly view: MeshView | null;
}
