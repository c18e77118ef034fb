// `ctl apply`: resources from files or standard input, created or updated.

import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { CommandError } from "../output.ts";
import { fillIn, readDocuments } from "./documents.ts";
import { revisionOf, waitAndTell } from "./receipt.ts";
import { ask, segment, type Session } from "./session.ts";
import { durationMs, pairs } from "./words.ts";

export interface ApplyOptions {
  readonly file: readonly string[];
  readonly var: readonly string[];
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly timeout: string;
}

interface Planned {
  readonly kind: ResourceDescriptor;
  readonly body: JsonObject;
  readonly path: string;
  readonly what: string;
}

/** Everything is read before anything is sent; the first refusal ends it. */
export async function apply(session: Session, options: ApplyOptions): Promise<void> {
  const timeoutMs = durationMs(options.timeout, "--timeout");
  const plan = await readPlan(session, options);
  if (plan.length === 0) throw new CommandError("There is no resource in the input");
  for (const [index, step] of plan.entries()) {
    try {
      await applyOne(session, step, {
        dryRun: options.dryRun,
        waitMs: options.wait ? timeoutMs : null,
      });
    } catch (error) {
      const left = plan.length - index - 1;
      if (left > 0) session.io.err(`${left} more ${left === 1 ? "was" : "were"} not applied\n`);
      throw error;
    }
  }
}

async function readPlan(session: Session, options: ApplyOptions): Promise<readonly Planned[]> {
  const variables = pairs(options.var, "-v");
  const plan: Planned[] = [];
  for (const file of options.file) {
    const name = file === "-" ? "standard input" : file;
    const content = await (file === "-" ? session.io.readStdin() : session.io.readFile(file));
    for (const { value, place } of readDocuments(fillIn(content, name, variables), name)) {
      plan.push(planOne(value, { place, session }));
    }
  }
  return plan;
}

function planOne(
  value: JsonObject,
  { place, session }: { readonly place: string; readonly session: Session },
): Planned {
  const { type, name } = value;
  if (typeof type !== "string" || typeof name !== "string" || name === "") {
    throw new CommandError(`${place}: a resource needs a type and a name`);
  }
  const kind = session.io.kinds.find((one) => one.name === type && !one.internal);
  if (!kind) throw new CommandError(`${place}: unknown type "${type}"`);
  const what = `apply ${type} "${name}" (${place})`;
  if (kind.scope === "Global") {
    return { kind, body: value, path: `/${kind.plural}/${segment(name)}`, what };
  }
  const mesh = typeof value["mesh"] === "string" ? value["mesh"] : session.mesh;
  return {
    kind,
    body: { ...value, mesh },
    path: `/meshes/${segment(mesh)}/${kind.plural}/${segment(name)}`,
    what: `apply ${type} "${name}" to mesh "${mesh}" (${place})`,
  };
}

async function applyOne(
  session: Session,
  { kind, body, path, what }: Planned,
  { dryRun, waitMs }: { readonly dryRun: boolean; readonly waitMs: number | null },
): Promise<void> {
  const { io } = session;
  const { status, json } = await ask(session, {
    method: "PUT",
    path: dryRun ? `${path}?dry-run=true` : path,
    body,
    what,
  });
  for (const warning of (json["warnings"] ?? []) as readonly string[]) {
    io.err(`warning: ${warning}\n`);
  }
  const resource = `${kind.name} "${body["name"]}"`;
  if (dryRun) {
    const result = String(json["result"]);
    io.out(
      result === "unchanged" ? `${resource} is unchanged\n` : `${resource} would be ${result}\n`,
    );
    for (const step of (json["diff"] ?? []) as readonly JsonObject[]) io.out(stepText(step));
    return;
  }
  const revision = revisionOf(json);
  const unchanged = json["unchanged"] === true;
  const result = unchanged ? "unchanged" : status === 201 ? "created" : "updated";
  io.out(`${result} ${resource}${revision > 0 ? ` (revision ${revision})` : ""}\n`);
  // What is unchanged made no revision; that of an earlier change may have no receipt any more.
  if (waitMs !== null && revision > 0 && !unchanged) await waitAndTell(session, revision, waitMs);
}

const SIGNS: Readonly<Record<string, string>> = { add: "+", remove: "-", replace: "~" };

function stepText({ op, path, before, value }: JsonObject): string {
  const sides = [before, value].filter((side) => side !== undefined)
    .map((side) => JSON.stringify(side));
  return `  ${SIGNS[String(op)] ?? op} ${path}: ${sides.join(" → ")}\n`;
}
