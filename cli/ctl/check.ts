// `ctl check`: what a control plane keeps and nothing acts on, resource by resource.

import { stringify } from "yaml";
import { specOf } from "../../api/admission.ts";
import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { readSpec } from "../../proto/spec.ts";
import { CommandError, EXIT, renderTable } from "../output.ts";
import { list } from "./get.ts";
import type { InspectOptions } from "./inspect.ts";
import type { Session } from "./session.ts";

interface Finding {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
  /** "" for the whole resource. */
  readonly field: string;
  readonly reason: string;
}

export async function check(
  session: Session,
  { output, headers }: InspectOptions,
): Promise<void> {
  const { io } = session;
  const findings: Finding[] = [];
  for (const kind of io.kinds.filter(isWritten)) {
    const { items } = await list(session, kind, { allMeshes: true });
    findings.push(...items.flatMap((item) => findingsOf(item, kind)));
  }
  const items = findings.map((finding) => ({ ...finding }));
  if (output === "json") io.out(`${JSON.stringify({ items }, null, 2)}\n`);
  else if (output === "yaml") io.out(stringify({ items }));
  else if (findings.length > 0) {
    const rows = findings.map(({ type, mesh, name, field, reason }) =>
      [type, mesh, name, field, reason].map((cell) => cell || "-")
    );
    io.out(renderTable(["TYPE", "MESH", "NAME", "FIELD", "REASON"], rows, { noHeaders: !headers }));
  }
  if (findings.length > 0) {
    throw new CommandError(`${findings.length} without effect`, EXIT.checkFailed);
  }
}

/** What users write, and everybody may read. */
function isWritten({ internal, readOnly, adminOnly }: ResourceDescriptor): boolean {
  return !internal && !readOnly && !adminOnly;
}

function findingsOf(item: JsonObject, kind: ResourceDescriptor): readonly Finding[] {
  const { mesh = "", name = "" } = item as Readonly<Record<string, string>>;
  const about = { type: kind.name, mesh, name };
  if (kind.withoutEffect) return [{ ...about, field: "", reason: "the type has no effect yet" }];
  const { known, notes } = readSpec(kind, specOf(kind, item).spec);
  return [...kind.validate(known), ...notes, ...kind.notes?.(known) ?? []]
    .map(({ path, message }) => ({ ...about, field: path, reason: message }));
}
