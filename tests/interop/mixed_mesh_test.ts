// One mesh over a Kuma zone and an Ursa zone, whose global changes from Kuma to Ursa and back.

import assert from "node:assert/strict";
import type { ControlPlane, Zone } from "../../cli/demo/cluster.ts";
import { get, Load } from "../../cli/demo/client.ts";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import type { Rest } from "../../cli/demo/rest.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { type Bench, interop } from "./interop.ts";
import { KumaCp, Kumactl } from "./kuma.ts";
import { type Entrance, KumaZone } from "./kuma_zone.ts";
import { Relay } from "./relay.ts";

/** Each way; some more than are asked for. */
const NEW_CONNECTIONS_PER_SECOND = 60;
const AT_LEAST_PER_SECOND = 50;
/** How long each state is watched under traffic, after it has settled. */
const WATCH_MS = 5_000;

interface Sides {
  readonly kuma: KumaCp;
  readonly ursa: ControlPlane;
  readonly ursaZone: Zone;
  /** What each zone knows as the address of global. */
  readonly relays: Readonly<Record<"kuma" | "ursa", Relay>>;
  /** Where a request enters in the Kuma zone that a service of the Ursa zone answers. */
  readonly toUrsa: Entrance;
  /** The other way. */
  readonly toKuma: Entrance;
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature:
    "a Kuma zone and an Ursa zone in one mesh, under traffic; global Kuma, then Ursa, then Kuma",
}, async (bench) => {
  const sides = await startSides(bench);
  const { kuma, ursa, toUrsa, toKuma } = sides;
  await until("answers both ways", async () => {
    const replies = await Promise.all([get(toUrsa), get(toKuma)]);
    return replies.every(({ error }) => error === "") || JSON.stringify(replies);
  });

  const loads = [toUrsa, toKuma].map((to) => new Load(NEW_CONNECTIONS_PER_SECOND, () => get(to)));
  await pause(WATCH_MS);
  await copy(bench, kuma.rest, ursa.rest);
  await move(sides, ursa);
  await kuma.stop();
  await pause(WATCH_MS);
  await kuma.start();
  await copy(bench, ursa.rest, kuma.rest);
  await move(sides, kuma);
  await pause(WATCH_MS);

  for (const one of loads) await one.stop();
  const [fromKuma, fromUrsa] = loads;
  noneFailed(fromKuma!, "ursa");
  noneFailed(fromUrsa!, "kuma");
});

function noneFailed(load: Load, answeredIn: string): void {
  const { failures, outcomes, perSecond } = load;
  assert.deepEqual(
    failures,
    [],
    `${failures.length} of ${outcomes.length} to ${answeredIn} failed`,
  );
  assert.deepEqual(Object.keys(load.byZone()), [answeredIn]);
  assert.ok(perSecond >= AT_LEAST_PER_SECOND, `only ${perSecond} a second`);
}

/** Two globals, of which Kuma's answers; two zones with an ingress, a service and a caller each. */
async function startSides(bench: Bench): Promise<Sides> {
  const { cluster, dir } = bench;
  const kuma = await bench.keep(new KumaCp({ ...bench, name: "kuma-global", mode: "global" }))
    .start();
  const ursa = await cluster.startGlobal();
  const caFile = `${dir}/globals.pem`;
  const roots = [kuma.caFile, ursa.caFile].map((file) => Deno.readTextFileSync(file));
  await Deno.writeTextFile(caFile, roots.join("\n"));
  const relays = {
    kuma: bench.keep(await Relay.start(kuma.url("kds"))),
    ursa: bench.keep(await Relay.start(kuma.url("kds"))),
  };
  const kumactl = await kuma.kumactl();
  for (const resource of [meshWithMtls("default"), allowAll("default")]) {
    await kumactl.apply(JSON.stringify(resource));
  }
  const [kumaZone, ursaZone] = await Promise.all([
    KumaZone.start(bench, "kuma", { url: relays.kuma.url, caFile }),
    cluster.startZone("ursa", { url: relays.ursa.url, caFile }),
  ]);
  const [toUrsa, { entrance: toKuma }] = await Promise.all([
    kumaZone.startFrontend("frontend-kuma", "billing"),
    ursaZone.startGateway("frontend-ursa", "orders"),
    kumaZone.startWorkload("orders"),
    ursaZone.startWorkload({ service: "billing" }),
    kumaZone.startIngress(),
    ursaZone.startIngress(),
  ]);
  return { kuma, ursa, ursaZone, relays, toUrsa, toKuma };
}

/**
 * Both zones to another global, Ursa's first: it keeps the ingress of the zone that has not come
 * yet. A Kuma zone deletes what its global does not know, so it comes when all is there.
 */
async function move({ relays, ursaZone }: Sides, to: KumaCp | ControlPlane): Promise<void> {
  relays.ursa.switchTo(to.url("kds"));
  await acceptsGlobal(ursaZone);
  await until("the Ursa zone's ingress on the other global", async () => {
    const { items } = await to.rest.get<{ items: readonly Named[] }>("/zoneingresses");
    return items.some(({ name }) => name.startsWith("ingress-ursa")) || JSON.stringify(items);
  });
  relays.kuma.switchTo(to.url("kds"));
  await until("both zones online", async () => {
    const { items } = await to.rest.get<{ items: readonly ZoneOverview[] }>("/zones/_overview");
    const online = items.filter(isOnline).map(({ name }) => name);
    return online.length === 2 || `only ${online.join(", ") || "none"}`;
  });
}

/** What `kumactl export` tells of one global, applied to another. */
async function copy(bench: Bench, from: Rest, to: Rest): Promise<void> {
  const [source, target] = await Promise.all(
    [from, to].map(({ address }) => Kumactl.of(bench.dir, address)),
  );
  const exported = await source!.ok([
    ...["export", "--profile", "federation-with-policies", "--format", "universal"],
  ]);
  await target!.apply(exported);
}

interface Named {
  readonly name: string;
}

interface ZoneOverview extends Named {
  readonly zoneInsight?: { readonly subscriptions?: readonly { disconnectTime?: string }[] };
}

function isOnline({ zoneInsight }: ZoneOverview): boolean {
  const last = zoneInsight?.subscriptions?.at(-1);
  return last !== undefined && last.disconnectTime === undefined;
}

/** A zone obeys no stranger: the operator says that the other global is the right one. */
async function acceptsGlobal(zone: Zone): Promise<void> {
  await until("the other global accepted", async () => {
    const response = await fetch(`${zone.rest.address}/uplink/accept-global`, { method: "POST" });
    const text = await response.text();
    return response.ok || text;
  });
}
