// The fleet: a process of fake proxies, told by lines of JSON on stdin what to do.

import { FakeProxy, now, type Tally } from "./proxy.ts";
import { dataplane, type Identity, ingress, latecomer } from "./topology.ts";

export type Order =
  | {
    readonly do: "join";
    readonly who: Who;
    /** For `proxies`: which of how many, and with how many outbounds to services that come later. */
    readonly from?: number;
    readonly to?: number;
    readonly total?: number;
    readonly late?: number;
    readonly address?: string;
  }
  | { readonly do: "leave"; readonly names: readonly string[] }
  /** When each proxy has acknowledged a configuration with this marker. */
  | { readonly do: "await"; readonly marker: string; readonly proxies: number }
  | { readonly do: "report" };

export type Who = "proxies" | "latecomer" | "ingress";

export interface Joined {
  /** From the first byte of a connection to the last ACK of the first complete configuration. */
  readonly eachMs: readonly number[];
  readonly allMs: number;
  readonly startedAt: number;
}

const [target, caFile] = Deno.args as [string, string];
const ca = await Deno.readTextFile(caFile);
const tally: Tally = { responses: 0, bytes: 0, errors: [], markers: new Map() };
const proxies = new Map<string, FakeProxy>();
const watchers = new Set<() => void>();
const HANG_MS = 120_000;
let scheduled = false;

for await (const line of linesOf(Deno.stdin.readable)) {
  const { id, ...order } = JSON.parse(line) as Order & { readonly id: number };
  obey(order as Order).then(
    (answer) => console.log(JSON.stringify({ id, answer })),
    (error) => console.log(JSON.stringify({ id, error: String(error) })),
  );
}
Deno.exit(0);

async function obey(order: Order): Promise<unknown> {
  switch (order.do) {
    case "join":
      return await join(identitiesOf(order));
    case "leave":
      for (const name of order.names) {
        proxies.get(name)?.close();
        proxies.delete(name);
      }
      return {};
    case "await": {
      const having = () => tally.markers.get(order.marker) ?? [];
      await until(
        () => having().length >= order.proxies,
        () => `${having().length} of ${order.proxies} proxies have ${order.marker}`,
      );
      return { at: having() };
    }
    case "report":
      return { responses: tally.responses, bytes: tally.bytes, errors: tally.errors };
  }
}

async function join(identities: readonly Identity[]): Promise<Joined> {
  const startedAt = now();
  const joining = identities.map((identity) => {
    const proxy = new FakeProxy(identity, tally, changed);
    proxies.set(identity.nodeId, proxy);
    proxy.connect(target, ca);
    return proxy;
  });
  const waiting = new Set(joining);
  await until(
    () => {
      for (const proxy of waiting) if (proxy.fullAt !== null) waiting.delete(proxy);
      return waiting.size === 0;
    },
    () => `${joining.length - waiting.size} of ${joining.length} proxies have everything`,
  );
  return {
    startedAt,
    eachMs: joining.map(({ fullAt, startedAt }) => fullAt! - startedAt),
    allMs: Math.max(...joining.map(({ fullAt }) => fullAt!)) - startedAt,
  };
}

function identitiesOf(order: Order & { readonly do: "join" }): readonly Identity[] {
  const { who, from = 0, to = from + 1, total = to, late = 0, address = "" } = order;
  if (who === "ingress") return [ingress("bench-ingress", address)];
  return Array.from(
    { length: to - from },
    (_, i) => who === "latecomer" ? latecomer(from + i) : dataplane(from + i, total, late),
  );
}

/** Once for all that arrives in one turn of the event loop. */
function changed(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    for (const watcher of [...watchers]) watcher();
  });
}

function until(condition: () => boolean, progress: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      watchers.delete(check);
    };
    const check = () => {
      if (!condition()) return;
      end();
      resolve();
    };
    const timer = setTimeout(() => {
      end();
      reject(new Error(`${progress()} after ${HANG_MS} ms: ${tally.errors.slice(-3).join("; ")}`));
    }, HANG_MS);
    watchers.add(check);
    check();
  });
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    yield* lines.filter((line) => line !== "");
  }
}
