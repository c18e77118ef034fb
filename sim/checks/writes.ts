// What was acknowledged is durable, stays, and is what was asked for.

import assert from "node:assert/strict";
import { sameJson } from "../../core/json.ts";
import { type Draft, keyText, type ResourceKey } from "../../core/resource.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Check, World } from "../world.ts";

interface Wish {
  readonly key: ResourceKey;
  /** null: deleted. */
  readonly wanted: Draft | null;
  /** Written, but whether it was done nobody said; so may others before it be. */
  doubtful: boolean;
}

export function noWriteIsLost(_world: World): Check {
  /** Of each process: the newest revision that anybody was told of, and the last wish for each key. */
  const revisions = new Map<string, number>();
  const wishes = new Map<string, Map<string, Wish>>();
  const wishesOf = (where: ControlPlane) => {
    const found = wishes.get(where.name) ?? new Map<string, Wish>();
    wishes.set(where.name, found);
    return found;
  };
  return {
    name: "no acknowledged write is lost",
    wrote(where, ops) {
      for (const op of ops) {
        const key = op.op === "put" ? op.resource : op.key;
        // Control planes write these, too: a deleted zone that is there registers again.
        if (["Secret", "Zone"].includes(key.type) || key.type.endsWith("Insight")) continue;
        // Its proxy registers again.
        if (op.op === "delete" && key.type === "Dataplane") {
          wishesOf(where).delete(keyText(key));
          continue;
        }
        wishesOf(where).set(keyText(key), {
          key,
          wanted: op.op === "put" ? op.resource : null,
          doubtful: true,
        });
      }
    },
    answered(where, ops, result) {
      const asked = wishesOf(where);
      if (!result.ok) {
        // A disk that failed may have done it all the same.
        if (result.reason === "unavailable") return;
        for (const op of ops) {
          const key = keyText(op.op === "put" ? op.resource : op.key);
          if (isOf(asked.get(key), op.op === "put" ? op.resource : null)) asked.delete(key);
        }
        return;
      }
      const durable = where.disk.image.revision;
      assert(
        result.revision <= durable,
        `${where.name} acknowledged revision ${result.revision}, but has only ${durable} on disk`,
      );
      revisions.set(where.name, Math.max(revisions.get(where.name) ?? 0, result.revision));
      for (const op of ops) {
        const wish = asked.get(keyText(op.op === "put" ? op.resource : op.key));
        if (wish && isOf(wish, op.op === "put" ? op.resource : null)) wish.doubtful = false;
      }
    },
    started(where) {
      const told = revisions.get(where.name) ?? 0;
      if (where.disk.replaced) {
        revisions.delete(where.name);
        wishes.delete(where.name);
        return;
      }
      const { revision } = where.disk.image;
      assert(revision >= told, `${where.name} starts at ${revision}, but acknowledged ${told}`);
    },
    atRest() {
      for (const [name, asked] of wishes) {
        const { image } = _world.plane(name).disk;
        for (const { key, wanted, doubtful } of asked.values()) {
          if (doubtful) continue;
          const stored = image.get(key);
          const what = `${key.type} ${key.mesh && `${key.mesh}/`}${key.name} of ${name}`;
          if (wanted === null) assert(!stored, `${what} was deleted, and is there`);
          else if (stored === undefined) assert.fail(`${what} was written, and is gone`);
          else assert(isLike(stored.spec, wanted.spec), `${what} is not as it was written`);
        }
      }
    },
  };
}

function isOf(wish: Wish | undefined, wanted: Draft | null): boolean {
  return wish !== undefined && wish.wanted === wanted;
}

/** A zone adds its name to what proxies are, and their ports to what they listen on. */
export function isLike(stored: unknown, wanted: unknown): boolean {
  if (sameJson(stored as never, wanted as never)) return true;
  if (typeof stored !== "object" || typeof wanted !== "object" || !stored || !wanted) return false;
  return Object.entries(wanted).every(([key, value]) =>
    isLike((stored as Record<string, unknown>)[key], value)
  );
}
