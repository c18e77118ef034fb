// What is measured, each on control planes of its own.

import type { Receipt } from "../core/receipt.ts";
import { now } from "./fleet/proxy.ts";
import { EVERYBODYS, lateService } from "./fleet/topology.ts";
import { Bench, type ControlPlane, type Fleet, sleep } from "./harness.ts";

/** One line of the table: a name, and the values of its repetitions. */
export interface Figure {
  readonly key: string;
  readonly unit: "ms" | "%" | "KB" | "MB" | "CPU-s";
  readonly values: readonly number[];
}

export interface Options {
  readonly dir: string;
  readonly store: string;
  readonly proxies: number;
  readonly repeat: number;
  readonly idleMs: number;
}

type Report = (figure: Figure) => void;

/** Long enough for what was written to be forgotten by disks, timers and the garbage collector. */
const SETTLE_MS = 2_000;
/** Dataplane insights are written 10 s after the last answer of a proxy. */
const QUIET_MS = 12_000;
/** Repetitions that are not counted: V8 compiles what it sees often. */
const WARM_UPS = 3;
const INGRESS_ADDRESS = "10.200.0.1";

/** One zone on its own without mutual TLS. */
export async function standalone(options: Options, report: Report): Promise<void> {
  await within(options, report, async (bench) => {
    const { proxies, repeat } = options;
    const plane = await bench.controlPlane("standalone", { zone: "bench" });
    await sleep(SETTLE_MS);
    const base = await plane.usage();
    report({ key: "base memory", unit: "MB", values: [base.rssKb / 1_024] });
    const fleet = bench.fleet(plane);
    await storm(plane, fleet, { proxies, label: `${proxies} join` }, report);
    await sleep(SETTLE_MS);
    await changes(plane, fleet, { proxies, repeat, key: "policy edit" }, report);
    await newcomers(fleet, options, report);
    await sleep(QUIET_MS);
    const before = await plane.usage();
    await sleep(options.idleMs);
    const after = await plane.usage();
    report({
      key: "idle CPU",
      unit: "%",
      values: [(after.cpuMs - before.cpuMs) * 100 / options.idleMs],
    });
    report({
      key: "memory per proxy",
      unit: "KB",
      values: [(after.rssKb - base.rssKb) / proxies],
    });
    return [[plane, fleet]];
  });
}

/** The same with mutual TLS: a certificate for each proxy, and a permission that all of them show. */
export async function mutualTls(options: Options, report: Report): Promise<void> {
  await within(options, report, async (bench) => {
    const { proxies, repeat } = options;
    const plane = await bench.controlPlane("standalone", { zone: "bench" });
    await withMtls(plane);
    const fleet = bench.fleet(plane);
    await storm(plane, fleet, { proxies, label: `${proxies} join, mTLS` }, report);
    await sleep(SETTLE_MS);
    const write = permission;
    await changes(plane, fleet, { proxies, repeat, write, key: "permission edit, mTLS" }, report);
    return [[plane, fleet]];
  });
}

/** Many proxies at once, fresh control planes. */
export function joining(proxies: number, mtls: boolean) {
  return async (options: Options, report: Report): Promise<void> => {
    await within(options, report, async (bench) => {
      const plane = await bench.controlPlane("standalone", { zone: "bench" });
      if (mtls) await withMtls(plane);
      await sleep(SETTLE_MS);
      const base = await plane.usage();
      const fleet = bench.fleet(plane);
      const suffix = mtls ? ", mTLS" : "";
      await storm(plane, fleet, { proxies, label: `${proxies} join${suffix}` }, report);
      await sleep(SETTLE_MS);
      const key = `policy edit, ${proxies}${suffix}`;
      await changes(
        plane,
        fleet,
        { proxies, repeat: Math.ceil(options.repeat / 2), key },
        report,
      );
      await sleep(QUIET_MS);
      const { rssKb } = await plane.usage();
      report({
        key: `memory per proxy, ${proxies}${suffix}`,
        unit: "KB",
        values: [(rssKb - base.rssKb) / proxies],
      });
      return [[plane, fleet]];
    });
  };
}

/** Global, a zone with the fleet, and a zone where services appear. */
export async function zones(options: Options, report: Report): Promise<void> {
  await within(options, report, async (bench) => {
    const { proxies, repeat } = options;
    const global = await bench.controlPlane("global");
    const east = await bench.controlPlane("remote", { zone: "east", global });
    const west = await bench.controlPlane("remote", { zone: "west", global });
    for (const zone of [east, west]) await meshAt(zone);
    const [here, there] = [bench.fleet(east), bench.fleet(west)];
    await here.join({
      who: "proxies",
      from: 0,
      to: proxies,
      total: proxies,
      late: repeat + WARM_UPS,
    });
    await sleep(SETTLE_MS);
    const key = "policy edit at global";
    await changes(global, here, { proxies, repeat, key }, report);
    await withMtls(global);
    await permission(global, "bench-mark-0");
    await here.acknowledged("bench-mark-0", proxies);
    await there.join({ who: "ingress", address: INGRESS_ADDRESS });
    await sleep(SETTLE_MS);
    const [first, all]: [number[], number[]] = [[], []];
    for (let k = 0; k < repeat + WARM_UPS; k++) {
      const { startedAt } = await there.join({ who: "latecomer", from: k });
      const at = await here.acknowledged(`endpoints/${lateService(k)}`, proxies);
      first.push(Math.min(...at) - startedAt);
      all.push(Math.max(...at) - startedAt);
      await sleep(gap());
    }
    report({
      key: "service of another zone, first proxy",
      unit: "ms",
      values: first.slice(WARM_UPS),
    });
    report({ key: "service of another zone", unit: "ms", values: all.slice(WARM_UPS) });
    return [[east, here], [west, there]];
  });
}

// ---- what the scenarios are made of

async function within(
  { dir, store }: Options,
  report: Report,
  measure: (bench: Bench) => Promise<readonly (readonly [ControlPlane, Fleet])[]>,
): Promise<void> {
  const bench = new Bench({ dir, store });
  try {
    for (const [plane, fleet] of await measure(bench)) await guardRails(plane, fleet, report);
  } finally {
    await bench.end();
  }
}

/** A figure means nothing when proxies refused what they were sent, or lost their streams. */
async function guardRails(plane: ControlPlane, fleet: Fleet, report: Report): Promise<void> {
  const { errors } = await fleet.report();
  report({ key: "NACKs", unit: "ms", values: [await plane.metric("ursa_xds_nacks_total")] });
  if (errors.length > 0) console.error(`${errors.length} streams failed:`, errors.slice(0, 5));
}

async function storm(
  plane: ControlPlane,
  fleet: Fleet,
  { proxies, label }: { readonly proxies: number; readonly label: string },
  report: Report,
): Promise<void> {
  const before = await plane.usage();
  const { allMs } = await fleet.join({ who: "proxies", from: 0, to: proxies, total: proxies });
  const { cpuMs } = await plane.usage();
  report({ key: label, unit: "ms", values: [allMs] });
  report({ key: `${label}, CPU`, unit: "CPU-s", values: [(cpuMs - before.cpuMs) / 1_000] });
  const own = await fleet.usage();
  report({ key: `${label}, CPU of the fleet`, unit: "CPU-s", values: [own.cpuMs / 1_000] });
}

type Write = (plane: ControlPlane, marker: string) => Promise<{ readonly revision: number }>;

async function changes(
  plane: ControlPlane,
  fleet: Fleet,
  { proxies, repeat, key, write = route }: {
    readonly proxies: number;
    readonly repeat: number;
    readonly key: string;
    readonly write?: Write;
  },
  report: Report,
): Promise<void> {
  const [answered, all, told]: [number[], number[], number[]] = [[], [], []];
  let [before, fleetBefore] = [await plane.usage(), await fleet.usage()];
  for (let k = 1 - WARM_UPS; k <= repeat; k++) {
    if (k === 1) [before, fleetBefore] = [await plane.usage(), await fleet.usage()];
    const marker = `bench-mark-${1_000 + k}`;
    const startedAt = now();
    const { revision } = await write(plane, marker);
    const answeredAt = now();
    const at = await fleet.acknowledged(marker, proxies);
    const receipt = await plane.rest.receipt(revision);
    await sleep(gap());
    if (k < 1) continue;
    answered.push(answeredAt - startedAt);
    all.push(Math.max(...at) - startedAt);
    told.push(lastAckOf(receipt));
  }
  const { cpuMs } = await plane.usage();
  report({ key: `${key}, answered`, unit: "ms", values: answered });
  report({ key, unit: "ms", values: all });
  report({ key: `${key}, by the receipt`, unit: "ms", values: told });
  report({
    key: `${key}, CPU`,
    unit: "CPU-s",
    values: [(cpuMs - before.cpuMs) / 1_000 / repeat],
  });
  report({
    key: `${key}, CPU of the fleet`,
    unit: "CPU-s",
    values: [((await fleet.usage()).cpuMs - fleetBefore.cpuMs) / 1_000 / repeat],
  });
}

function lastAckOf({ lastAckMs, zones = [] }: Receipt): number {
  return Math.max(lastAckMs ?? 0, ...zones.map((zone) => zone.lastAckMs ?? zone.ms ?? 0));
}

async function newcomers(
  fleet: Fleet,
  { proxies, repeat }: Options,
  report: Report,
): Promise<void> {
  const values: number[] = [];
  const joining = repeat + WARM_UPS;
  for (let k = 0; k < joining; k++) {
    const from = proxies + k;
    const { eachMs } = await fleet.join({ who: "proxies", from, to: from + 1, total: proxies });
    values.push(...eachMs);
    await sleep(gap());
  }
  await fleet.leave(Array.from({ length: joining }, (_, k) => `default.bench-${proxies + k}`));
  report({ key: "new proxy", unit: "ms", values: values.slice(WARM_UPS) });
}

/** Not a multiple of anybody's ticker. */
const gap = () => 300 + Math.random() * 700;

function route({ rest }: ControlPlane, marker: string) {
  const destination = { "kuma.io/service": EVERYBODYS };
  return rest.put("/meshes/default/traffic-routes/bench", {
    type: "TrafficRoute",
    mesh: "default",
    name: "bench",
    sources: [{ match: { "kuma.io/service": "*" } }],
    destinations: [{ match: destination }],
    conf: {
      http: [{
        match: { path: { prefix: "/" } },
        modify: { requestHeaders: { add: [{ name: "x-bench", value: marker }] } },
        destination,
      }],
      destination,
    },
  });
}

function permission({ rest }: ControlPlane, marker: string) {
  return rest.put("/meshes/default/traffic-permissions/bench", {
    type: "TrafficPermission",
    mesh: "default",
    name: "bench",
    sources: [{ match: { "kuma.io/service": marker } }],
    destinations: [{ match: { "kuma.io/service": "*" } }],
  });
}

async function withMtls({ rest }: ControlPlane): Promise<void> {
  await rest.put("/meshes/default", {
    type: "Mesh",
    name: "default",
    mtls: { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin" }] },
  });
}

/** A zone has no mesh until global has sent it. */
async function meshAt({ rest }: ControlPlane): Promise<void> {
  while (!await rest.find("/meshes/default")) await sleep(20);
}
