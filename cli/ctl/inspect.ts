// `ctl inspect` and `ctl debug actors`.

import { stringify } from "yaml";
import type { JsonObject } from "../../core/resource.ts";
import { renderTable } from "../output.ts";
import { INSPECT_COLUMNS, INSPECT_WARNINGS } from "./columns.ts";
import { list } from "./get.ts";
import { ask, type Session } from "./session.ts";
import { kindOf } from "./words.ts";

export interface InspectOptions {
  readonly output: "table" | "yaml" | "json";
  readonly headers: boolean;
  readonly allMeshes?: boolean;
}

export async function inspect(
  session: Session,
  type: string,
  { output, headers, allMeshes = false }: InspectOptions,
): Promise<void> {
  const kind = kindOf(type, session.io.kinds);
  // Insights of meshes and services are resources of their own, those of proxies are joined in.
  const suffix = kind.insightOf === undefined && kind.readOnly ? "" : "/_overview";
  const { items, envelope } = await list(session, kind, { allMeshes, suffix });
  const columns = INSPECT_COLUMNS[kind.name] ?? [];
  for (const warning of items.flatMap((item) => INSPECT_WARNINGS[kind.name]?.(item) ?? [])) {
    session.io.err(`warning: ${warning}\n`);
  }
  print(session, { value: envelope, output }, () =>
    renderTable(
      columns.map(({ header }) => header),
      items.map((item) => columns.map(({ cell }) => cell(item, session.io.nowMs()))),
      { noHeaders: !headers },
    ));
}

export async function debugActors(
  session: Session,
  { output, headers }: InspectOptions,
): Promise<void> {
  const { json } = await ask(session, { path: "/debug/actors", what: "list the actors" });
  const actors = (json["items"] ?? []) as readonly JsonObject[];
  print(session, { value: json, output }, () =>
    renderTable(
      ["PATH", "MAILBOX", "TURNS", "RESTARTS"],
      actors.map(({ path, mailbox, turns, restarts }) =>
        [path, mailbox, turns, restarts].map(String)
      ),
      { noHeaders: !headers },
    ));
}

export function print(
  { io }: Session,
  { value, output }: { readonly value: JsonObject; readonly output: InspectOptions["output"] },
  table: () => string,
): void {
  if (output === "json") io.out(`${JSON.stringify(value, null, 2)}\n`);
  else io.out(output === "yaml" ? stringify(value) : table());
}
