// What runs hit how often: steps, messages by actor, unlucky places, what edges and links counted.

import { SITES } from "./unlucky.ts";
import { VERBS } from "./steps.ts";
import type { World } from "./world.ts";

/** By group, then by what was hit. */
export type Hits = ReadonlyMap<string, ReadonlyMap<string, number>>;

export class Coverage {
  readonly groups = new Map<string, Map<string, number>>();

  merge(hits: Hits): void {
    for (const [group, counts] of hits) {
      for (const [name, count] of counts) this.#count(group, name, count);
    }
  }

  add(world: World): void {
    for (const [what, count] of world.counts) {
      const [group, name] = what.startsWith("step ")
        ? ["steps", what.slice(5)]
        : ["counters", what];
      this.#count(group, name, count);
    }
    for (const [what, count] of world.network.counts) this.#count("network", what, count);
    for (const [site, count] of world.luck.hits) this.#count("unlucky places", site, count);
    for (const [message, count] of world.warnings) this.#count("warnings", message, count);
    for (const [actor, tags] of world.turns) {
      for (const [tag, count] of tags) this.#count("messages", `${actor} ${tag}`, count);
    }
  }

  hits(group: string): ReadonlyMap<string, number> {
    return this.groups.get(group) ?? new Map();
  }

  text(never: ReadonlyMap<string, readonly string[]>): string {
    const lines = [...this.groups].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([group, hits]) => [
      `${group}:`,
      ...[...hits].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([name, count]) => `${String(count).padStart(10)}  ${name}`),
    ]);
    const missed = [...never].flatMap(([group, names]) =>
      names.length === 0 ? [] : [`never, of ${group}: ${names.join(", ")}`]
    );
    return [...lines, ...missed].join("\n");
  }

  #count(group: string, name: string, by: number): void {
    let hits = this.groups.get(group);
    if (!hits) this.groups.set(group, hits = new Map());
    hits.set(name, (hits.get(name) ?? 0) + by);
  }
}

/** Messages are those that reducers have a case for; `read` gives the source of an actor. */
export function neverHit(
  coverage: Coverage,
  sources: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly string[]> {
  const missing = (group: string, all: readonly string[]) =>
    all.filter((name) => !coverage.hits(group).has(name));
  const messages = [...sources].flatMap(([actor, source]) => {
    const receive = source.slice(source.indexOf("receive("));
    const body = receive.slice(0, receive.indexOf("\n};"));
    return [...body.matchAll(/case "(\w+)":/g)].map(([, tag]) => `${actor} ${tag}`);
  });
  return new Map([
    ["steps", missing("steps", Object.keys(VERBS))],
    ["unlucky places", missing("unlucky places", Object.keys(SITES))],
    ["messages", missing("messages", [...new Set(messages)])],
  ]);
}
