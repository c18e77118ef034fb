// DNS: an answer is what was so at some moment between question and answer.

import assert from "node:assert/strict";
import type { ConfigSpec } from "../../core/mesh.ts";
import type { Resource } from "../../core/resource.ts";
import { vipNames } from "../../core/vip_names.ts";
import { RCODE } from "../../dns/answer.ts";
import { meshOfVipConfig, vipsOf } from "../../dns/vips.ts";
import type { ZoneTable } from "../../dns/zone_table.ts";
import type { ControlPlane } from "../control_plane.ts";
import type { Resolved, Told } from "../dns_edge.ts";
import type { Check, World } from "../world.ts";
import { calmOf } from "./calm.ts";

/** From the store to the table. */
const BEHIND_MS = 3_000;
const KEPT_MS = 30_000;

interface Names {
  readonly atMs: number;
  readonly addresses: ReadonlyMap<string, string>;
}

export function namesAreTrue(world: World): Check {
  const calm = calmOf(world);
  /** What stores said, oldest first. */
  const stored = new Map<ControlPlane, Names[]>();
  const note = (zone: ControlPlane): void => {
    const all = stored.get(zone) ?? [];
    stored.set(zone, all);
    all.push({ atMs: world.nowMs, addresses: namesOf(zone) });
    while (all.length > 1 && all[1]!.atMs < world.nowMs - KEPT_MS) all.shift();
  };
  return {
    name: "DNS tells the truth",
    started: note,
    committed(zone, { changes }) {
      if (changes.some(({ key }) => key.type === "Config" && meshOfVipConfig(key.name))) note(zone);
    },
    tick: () => calm.tick(),
    atRest() {
      for (const zone of world.zones) {
        const told = zone.dns?.table?.addresses ?? new Map();
        assert.deepEqual(sorted(told), sorted(namesOf(zone)), `names that ${zone.name} resolves`);
      }
    },
    resolved(zone, { name, type, rcode, addresses, edge, fromMs }) {
      const said = `${name} ${type} in ${zone.name}: ${addresses.join(" ") || `rcode ${rcode}`}`;
      const tables = since(edge.told, fromMs);
      assert(
        tables.some(({ table }) => isFrom(table, { name, type, rcode, addresses })),
        `${said}, which no table of these ${(world.nowMs - fromMs).toFixed(0)} ms has`,
      );
      if (!calm.is(zone) || rcode === RCODE.servFail || !name.endsWith(".mesh")) return;
      const known = since(stored.get(zone) ?? [], fromMs - BEHIND_MS)
        .map((names) => names.addresses.get(name));
      if (rcode === RCODE.nxDomain) {
        assert(known.some((address) => address === undefined), `${said}, and was there throughout`);
      }
      for (const address of addresses) {
        assert(known.includes(address), `${said}, which the store did not have`);
      }
    },
  };
}

function namesOf({ disk: { image } }: ControlPlane): ReadonlyMap<string, string> {
  const vips = new Map<string, string>();
  for (const config of image.list("Config")) {
    if (meshOfVipConfig(config.name) === undefined) continue;
    for (const [service, address] of vipsOf(config as unknown as Resource<ConfigSpec>)) {
      if (!vips.has(service)) vips.set(service, address);
    }
  }
  return vipNames(vips);
}

function sorted(names: ReadonlyMap<string, string>): readonly string[] {
  return [...names].map((entry) => entry.join(" ")).sort();
}

/** What was so at that moment, and all that came behind it. */
function since<Kept extends Pick<Told, "atMs">>(all: readonly Kept[], atMs: number) {
  const first = all.findLastIndex((one) => one.atMs <= atMs);
  return all.slice(Math.max(0, first));
}

type Said = Pick<Resolved, "name" | "type" | "rcode" | "addresses">;

function isFrom(table: ZoneTable | null, { name, type, rcode, addresses }: Said): boolean {
  if (!table) return rcode === RCODE.servFail;
  if (!name.endsWith(".mesh")) return rcode === RCODE.refused;
  const address = table.addresses.get(name);
  if (address !== undefined) {
    const wanted = type === "A" ? [address] : [];
    return rcode === RCODE.noError && addresses.join() === wanted.join();
  }
  const isBranch = [...table.addresses.keys()].some((other) => other.endsWith(`.${name}`));
  return addresses.length === 0 && rcode === (isBranch ? RCODE.noError : RCODE.nxDomain);
}
