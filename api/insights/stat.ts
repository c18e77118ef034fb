// Counts of proxies by status, as proto3 JSON has them: without zeros.

import type { ProxyStatus } from "../../core/proxy_status.ts";
import { compareText, type JsonObject } from "../../core/resource.ts";

const FIELDS = {
  online: "online",
  offline: "offline",
  partially_degraded: "partiallyDegraded",
} as const;

/** kuma.mesh.v1alpha1.MeshInsight.DataplaneStat. */
export class Stat {
  total = 0;
  online = 0;
  offline = 0;
  partiallyDegraded = 0;

  add(status: ProxyStatus): void {
    this.total++;
    this[FIELDS[status]]++;
  }

  /** Every field, zeros included. */
  full(): JsonObject {
    const { online, offline, partiallyDegraded, total } = this;
    return { online, offline, partiallyDegraded, total };
  }

  json(): JsonObject {
    return withoutZeros(this.full());
  }
}

export function sumOf(stats: Iterable<Stat>): Stat {
  const sum = new Stat();
  for (const { total, online, offline, partiallyDegraded } of stats) {
    sum.total += total;
    sum.online += online;
    sum.offline += offline;
    sum.partiallyDegraded += partiallyDegraded;
  }
  return sum;
}

/** A stat for each of some words: versions, backends. */
export class StatTable {
  readonly #stats = new Map<string, Stat>();

  add(word: string, status: ProxyStatus): void {
    let stat = this.#stats.get(word);
    if (!stat) this.#stats.set(word, stat = new Stat());
    stat.add(status);
  }

  json(): JsonObject {
    return Object.fromEntries(
      [...this.#stats].sort(([a], [b]) => compareText(a, b))
        .map(([word, stat]) => [word, stat.json()]),
    );
  }
}

/** proto3 JSON leaves out numbers that are 0, and maps that are empty. */
export function withoutZeros(fields: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) =>
      value !== 0 && !(typeof value === "object" && Object.keys(value ?? {}).length === 0)
    ),
  );
}
