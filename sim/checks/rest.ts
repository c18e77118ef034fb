// What the REST API answers is so: a write that it acknowledged was made as it was asked for, and once;
// one that it refused left nothing; none was made by half.

import assert from "node:assert/strict";
import { newMeshOf } from "../../cli/defaults.ts";
import { initialPoliciesOf } from "../../core/initial_resources.ts";
import { sameJson } from "../../core/json.ts";
import { keyText, type Resource, type ResourceKey } from "../../core/resource.ts";
import type { Change, Op } from "../../store/store.ts";
import { type ControlPlane, KINDS } from "../control_plane.ts";
import { CALL_LABEL, REST, type RestCall } from "../rest.ts";
import type { Check, World } from "../world.ts";
import { isLike } from "./writes.ts";

const IN_MESHES = KINDS.all().filter(({ scope }) => scope === "Mesh");

export function restAnswersAreTrue(world: World): Check {
  /** By revision and key, of where people write: what a commit made of it. */
  const made = new Map<string, Resource | null>();
  /** When somebody wrote it otherwise, of whose writes and the API's a commit shows the last. */
  const meddledAtMs = new Map<string, number>();
  let committedAtMs = -1;
  const at = (revision: number, key: ResourceKey) => `${revision} ${keyText(key)}`;

  const tell = ({ key, resource, previous, revision }: Change): void => {
    if (!resource) return;
    const what = `${keyText(key)}, revision ${revision}`;
    const isSame = previous && sameJson(previous.spec, resource.spec) &&
      sameJson(previous.labels, resource.labels);
    assert(!isSame, `${what} is a version that says what the one before it said`);
    const call = world.calls.get(resource.labels[CALL_LABEL] ?? "");
    if (!call) return;
    call.commits++;
    atMost(call);
    const match = call.headers["if-match"];
    const was = previous ? `"${previous.version}"` : "none";
    assert(match === undefined || match === was, `${what} was for ${match}, and replaced ${was}`);
  };

  return {
    name: "REST answers are true",
    wrote(where, ops) {
      if (where !== world.writer) return;
      for (const op of ops) if (isMeddling(op)) meddledAtMs.set(keyText(keyOf(op)), world.nowMs);
    },
    committed(where, { changes }) {
      if (where !== world.writer) return;
      // A disk that did not say whether it holds a commit tells with the next one, which was decided
      // without: whoever wrote the first was told that it may not be made.
      const isBlind = committedAtMs === world.nowMs;
      committedAtMs = world.nowMs;
      for (const change of changes) {
        if (!change.key.name.startsWith(REST)) continue;
        made.set(at(change.revision, change.key), change.resource);
        if (isBlind) continue;
        tell(change);
        if (change.key.type === "Mesh") checkWhole(where, change, changes);
      }
    },
    started(where) {
      if (where !== world.writer || !where.disk.replaced) return;
      made.clear();
      for (const call of world.calls.values()) call.commits = 0;
      for (
        const resource of ["Mesh", "TrafficPermission"].flatMap((type) =>
          where.disk.image.list(type)
        )
      ) {
        made.set(at(resource.version, resource), resource);
      }
    },
    served(call, { status, body }, fromMs) {
      const what = `${call.method} ${call.url} (${call.id})`;
      atMost(call);
      if (call.bad) assert(status >= 400 && status < 500, `${what} is answered with ${status}`);
      assert(status < 500 || status === 503, `${what} is answered with ${status}: ${body}`);
      if (status >= 300 || call.method === "GET") return;
      const { revision } = JSON.parse(body);
      assert(revision <= call.plane.disk.image.revision, `${what}: ${revision} is not durable`);
      if ((meddledAtMs.get(keyText(call.key)) ?? -1) >= fromMs) return;
      const stored = made.get(at(revision, call.key));
      assert(stored !== undefined, `${what}: revision ${revision} is of something else`);
      const { wanted } = call;
      assert(
        wanted === null ? stored === null : stored && isLike(stored.spec, wanted.spec) &&
          stored.labels[CALL_LABEL] === call.id,
        `${what}: revision ${revision} is not what was asked for`,
      );
    },
  };
}

/**
 * Each time that it came and was not refused may make a version; one that changes a version does so
 * once. That there is none may become true again.
 */
function atMost({ id, headers, handled, refused, commits }: RestCall): void {
  const may = handled - refused;
  const most = headers["if-match"]?.startsWith('"') ? Math.min(1, may) : may;
  assert(commits <= most, `${id} was written ${commits} times, and came ${may} times unrefused`);
}

/** A mesh comes and goes with all that is in it. */
function checkWhole(
  { config, disk: { image } }: ControlPlane,
  { key: { name }, resource, previous }: Change,
  changes: readonly Change[],
): void {
  if (!resource) {
    const left = IN_MESHES.flatMap((kind) => image.list(kind.name, name)).map(keyText);
    return assert.deepEqual(left, [], `of mesh ${name}, which was deleted, this is left`);
  }
  if (previous) return;
  const there = new Set(changes.map(({ key }) => keyText(key)));
  const missing = initialPoliciesOf(resource, newMeshOf(config)).map(keyText)
    .filter((key) => !there.has(key));
  assert.deepEqual(missing, [], `mesh ${name} was made without these`);
}

function isMeddling(op: Op): boolean {
  return op.expected === undefined && keyOf(op).name.startsWith(REST);
}

function keyOf(op: Op): ResourceKey {
  return op.op === "put" ? op.resource : op.key;
}
