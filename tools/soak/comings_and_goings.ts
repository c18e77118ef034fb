// A real control plane, and 200 plain gRPC clients of it that come and go; then everybody leaves, and
// what they took must be given back.

import { Bench, type ControlPlane, type Fleet, sleep } from "../../bench/harness.ts";
import { until } from "../../cli/demo/until.ts";
import type { Json } from "../../core/resource.ts";
import type { Point } from "./slope.ts";

/** What a control plane holds at one moment. */
export interface Holding {
  readonly rssKb: number;
  readonly heapKb: number;
  /** Open files: sockets and all else. */
  readonly files: number;
  readonly threads: number;
  readonly actors: number;
  /** Entries of the actors' tables: proxies, streams, what waits. */
  readonly entries: number;
}

export interface Soaked {
  /** Memory by the minute, while clients came and went. */
  readonly rss: readonly Point[];
  readonly heap: readonly Point[];
  readonly before: Holding;
  readonly peak: Holding;
  readonly after: Holding;
  readonly joins: number;
  readonly responses: number;
  readonly errors: readonly string[];
}

const SAMPLE_MS = 2_000;
/** So many leave and as many come in each round. */
const SHARE = 10;
const ROUND_MS = 500;
/** Leases, grace times and the removal of what they stood for; machines are slow at times. */
const BASELINE_MS_MAX = 180_000;
/** Connections that somebody else opens at that moment: this program's own requests. */
const FILES_GIVE = 4;

export interface SoakOptions {
  readonly dir: string;
  readonly clients: number;
  readonly ms: number;
  readonly sampled?: (atMs: number, holding: Holding) => void;
}

/** Throws when what was there before is not regained. */
export async function comingsAndGoings(options: SoakOptions): Promise<Soaked> {
  const bench = new Bench({ dir: options.dir, store: "memory" });
  try {
    const plane = await bench.controlPlane("standalone", { zone: "soak" });
    await plane.rest.put("/meshes/default", {
      type: "Mesh",
      name: "default",
      mtls: { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin" }] },
    });
    const fleet = bench.fleet(plane);
    // What is made when the first client comes, and then kept, belongs to the baseline.
    await fleet.join({ who: "proxies", from: 0, to: 1, total: options.clients });
    await fleet.leave([nodeId(0)]);
    await until(
      "empty control plane",
      async () => await entriesOf(plane, "dataplanes/") === 0 || "not yet",
    );
    return await soak(plane, fleet, options);
  } finally {
    await bench.end();
  }
}

async function soak(plane: ControlPlane, fleet: Fleet, options: SoakOptions): Promise<Soaked> {
  const { clients, ms, sampled } = options;
  const before = await holdingOf(plane);
  await fleet.join({ who: "proxies", from: 0, to: clients, total: clients });
  const startedAtMs = performance.now();
  const passed = () => performance.now() - startedAtMs;
  const samples: { readonly atMs: number; readonly holding: Holding }[] = [];
  const watching = (async () => {
    while (passed() < ms) {
      const holding = await holdingOf(plane);
      samples.push({ atMs: passed(), holding });
      sampled?.(passed(), holding);
      await sleep(SAMPLE_MS);
    }
  })();
  let joins = clients;
  for (let next = 0; passed() < ms; next = (next + SHARE) % clients) {
    const to = Math.min(clients, next + SHARE);
    await fleet.leave(Array.from({ length: to - next }, (_, at) => nodeId(next + at)));
    await sleep(ROUND_MS);
    // Some before they have left everybody's endpoints, and some after.
    await fleet.join({ who: "proxies", from: next, to, total: clients });
    joins += to - next;
  }
  await watching;
  const { responses, errors } = await fleet.report();
  await fleet.leave(Array.from({ length: clients }, (_, at) => nodeId(at)));
  await until(
    "baseline",
    async () => lackIn(before, await holdingOf(plane)) ?? true,
    BASELINE_MS_MAX,
  );
  const at = (of: keyof Holding) =>
    samples.map(({ atMs, holding }) => ({ x: atMs / 60_000, y: holding[of] }));
  const most = (of: keyof Holding) => Math.max(...samples.map(({ holding }) => holding[of]));
  return {
    rss: at("rssKb"),
    heap: at("heapKb"),
    before,
    peak: {
      rssKb: most("rssKb"),
      heapKb: most("heapKb"),
      files: most("files"),
      threads: most("threads"),
      actors: most("actors"),
      entries: most("entries"),
    },
    after: await holdingOf(plane),
    joins,
    responses,
    errors,
  };
}

/** What was not given back; null when all was. Memory is another question: V8 keeps what it had. */
function lackIn(before: Holding, now: Holding): string | null {
  const given = { actors: 0, entries: 0, files: FILES_GIVE, threads: FILES_GIVE };
  for (const kind of ["actors", "entries", "files", "threads"] as const) {
    if (now[kind] > before[kind] + given[kind]) {
      return `${now[kind]} ${kind}, and ${before[kind]} before`;
    }
  }
  return null;
}

function nodeId(index: number): string {
  return `default.bench-${index}`;
}

interface Actor {
  readonly path: string;
  readonly mailbox: number;
  readonly state?: Readonly<Record<string, Json>>;
}

/** Names of what grows with those who come; other numbers, such as revisions, only ever grow. */
const TABLES = new Set([
  ...["subscribers", "streams", "proxies", "services", "dataplanes", "waiting", "committing"],
  ...["incomplete", "holders", "queued", "parked", "parts"],
]);

async function holdingOf(plane: ControlPlane): Promise<Holding> {
  const [{ rssKb, files, threads }, heap, actors] = await Promise.all([
    plane.usage(),
    plane.metric('ursa_memory_bytes{of="heap_used"}'),
    actorsOf(plane),
  ]);
  return {
    rssKb,
    heapKb: Math.round(heap / 1_024),
    files,
    threads,
    actors: actors.length,
    entries: actors.reduce((sum, actor) => sum + tablesOf(actor), 0),
  };
}

async function actorsOf({ rest }: ControlPlane): Promise<readonly Actor[]> {
  return (await rest.get<{ readonly items: readonly Actor[] }>("/debug/actors")).items;
}

async function entriesOf(plane: ControlPlane, prefix: string): Promise<number> {
  return (await actorsOf(plane)).filter(({ path }) => path.startsWith(prefix)).length;
}

function tablesOf({ mailbox, state = {} }: Actor): number {
  return Object.entries(state).reduce(
    (sum, [name, value]) => sum + (TABLES.has(name) && typeof value === "number" ? value : 0),
    mailbox,
  );
}
