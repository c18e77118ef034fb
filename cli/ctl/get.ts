// `ctl get` and `ctl delete`.

import { stringify } from "yaml";
import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { CommandError, EXIT, renderTable } from "../output.ts";
import { columnsOf } from "./columns.ts";
import { ask, segment, type Session } from "./session.ts";
import { kindOf } from "./words.ts";

export const OUTPUTS = ["table", "yaml", "json", "name"] as const;
export type Output = typeof OUTPUTS[number];

/** The largest page that the API gives. */
const PAGE = 1000;

export interface GetOptions {
  readonly output: Output;
  readonly allMeshes: boolean;
  readonly headers: boolean;
  readonly size?: string;
  readonly offset?: string;
}

export async function get(
  session: Session,
  { type, name }: { readonly type: string; readonly name?: string },
  options: GetOptions,
): Promise<void> {
  const kind = kindOf(type, session.io.kinds);
  if (name !== undefined) {
    if (options.allMeshes) {
      throw new CommandError("--all-meshes lists: leave the name out, or give -m", EXIT.usage);
    }
    const path = itemPath(kind, name, session);
    const { json } = await ask(session, { path, what: `get ${kind.name} "${name}"` });
    print(session, kind, { items: [json], options, envelope: json });
    return;
  }
  const { items, envelope } = await list(session, kind, options);
  print(session, kind, { items, options, envelope });
}

export async function remove(
  session: Session,
  { type, name }: { readonly type: string; readonly name: string },
): Promise<void> {
  const kind = kindOf(type, session.io.kinds);
  const { json } = await ask(session, {
    method: "DELETE",
    path: itemPath(kind, name, session),
    what: `delete ${kind.name} "${name}"`,
  });
  for (const warning of (json["warnings"] ?? []) as readonly string[]) {
    session.io.err(`warning: ${warning}\n`);
  }
  const revision = json["revision"];
  session.io.out(`deleted ${kind.name} "${name}"${revision ? ` (revision ${revision})` : ""}\n`);
}

function itemPath(kind: ResourceDescriptor, name: string, { mesh }: Session): string {
  const inMesh = kind.scope === "Mesh" ? `/meshes/${segment(mesh)}` : "";
  return `${inMesh}/${kind.plural}/${segment(name)}`;
}

/** One page when a size was asked for, else all of them. */
export async function list(
  session: Session,
  kind: ResourceDescriptor,
  { allMeshes, size, offset, suffix = "" }: Pick<GetOptions, "allMeshes" | "size" | "offset"> & {
    readonly suffix?: string;
  },
): Promise<{ readonly items: readonly JsonObject[]; readonly envelope: JsonObject }> {
  const inMesh = kind.scope === "Mesh" && !allMeshes ? `/meshes/${segment(session.mesh)}` : "";
  const items: JsonObject[] = [];
  for (let from = offset ?? "0";;) {
    const query = new URLSearchParams({ size: size ?? String(PAGE), offset: from });
    const { json } = await ask(session, {
      path: `${inMesh}/${kind.plural}${suffix}?${query}`,
      what: `list ${kind.plural}`,
    });
    items.push(...(json["items"] ?? []) as readonly JsonObject[]);
    const next = size === undefined ? json["next"] : null;
    const after = typeof next === "string" ? new URL(next).searchParams.get("offset") : null;
    if (after === null) {
      const envelope = { total: json["total"] ?? items.length, items, next: json["next"] ?? null };
      return { items, envelope };
    }
    from = after;
  }
}

function print(
  { io }: Session,
  kind: ResourceDescriptor,
  { items, options, envelope }: {
    readonly items: readonly JsonObject[];
    readonly options: GetOptions;
    readonly envelope: JsonObject;
  },
): void {
  switch (options.output) {
    case "json":
      return io.out(`${JSON.stringify(envelope, null, 2)}\n`);
    case "yaml": // A stream of documents can be applied as it is.
      return io.out(items.map((item) => stringify(item)).join("---\n"));
    case "name":
      return io.out(items.map(({ name }) => `${kind.args[0] ?? kind.plural}/${name}\n`).join(""));
    case "table": {
      const columns = columnsOf(kind);
      const rows = items.map((item) => columns.map(({ cell }) => cell(item, io.nowMs())));
      const headers = columns.map(({ header }) => header);
      return io.out(renderTable(headers, rows, { noHeaders: !options.headers }));
    }
  }
}
