// The names of the zone: follows the virtual addresses in the store, and hands them to the server.
//
// Questions never pass through here: the server answers from the newest table it was given.

import { compareText, type JsonObject, type Resource } from "../../core/resource.ts";
import type { ConfigSpec } from "../../core/mesh.ts";
import { meshOfVipConfig, vipsOf } from "../../dns/vips.ts";
import { buildZoneTable, type DnsCommand, type ZoneTable } from "../../dns/zone_table.ts";
import { mergeChanges, toHub } from "../hub/messages.ts";
import { type Actor, command, log, type Turn } from "../runtime/actor.ts";
import type { DnsMsg } from "./messages.ts";

export interface DnsArgs {
  /** The last label of every name; default `mesh`. */
  readonly domain?: string;
}

export interface DnsState {
  readonly domain: string;
  /** By mesh. */
  readonly configs: Map<string, Resource<ConfigSpec>>;
  readonly table: ZoneTable | null;
}

export const dns: Actor<DnsState, DnsMsg, DnsArgs> = {
  mailbox: {
    capacity: 16,
    whenFull: "crash", // Coalesced: more than one waiting can only be a bug.
    coalesce: () => "changes",
    merge: mergeChanges,
  },

  init({ domain = "mesh" }, at) {
    const subscribe = toHub({ tag: "subscribe", to: at.self, types: ["Config"] });
    return [{ domain, configs: new Map(), table: null }, [subscribe]];
  },

  receive(state, msg) {
    if (msg.full) state.configs.clear();
    for (const { key, resource } of msg.changes) {
      const mesh = key.type === "Config" ? meshOfVipConfig(key.name) : undefined;
      if (mesh === undefined) continue;
      if (resource) state.configs.set(mesh, resource as Resource<ConfigSpec>);
      else state.configs.delete(mesh);
    }
    return publish(state, msg.revision);
  },

  describe: ({ table }): JsonObject => ({
    domain: table?.domain ?? "",
    names: table?.addresses.size ?? 0,
    serial: table?.serial ?? 0,
  }),
};

function publish(state: DnsState, revision: number): Turn<DnsState> {
  const table = buildZoneTable(addressesOf(state.configs), {
    domain: state.domain,
    serial: revision,
  });
  // Releases and their due times change the resource, not what is answered.
  if (state.table && sameAddresses(state.table.addresses, table.addresses)) return [state, []];
  const publication: DnsCommand = { command: "publish", table };
  return [{ ...state, table }, [
    command("dns", publication),
    log("debug", "names changed", { names: table.addresses.size, serial: table.serial }),
  ]];
}

/** Over all meshes. A name has one address; where old data say otherwise, the first mesh's counts. */
function addressesOf(
  configs: ReadonlyMap<string, Resource<ConfigSpec>>,
): ReadonlyMap<string, string> {
  const addresses = new Map<string, string>();
  for (const [, config] of [...configs].sort(([a], [b]) => compareText(a, b))) {
    for (const [service, address] of vipsOf(config)) {
      if (!addresses.has(service)) addresses.set(service, address);
    }
  }
  return addresses;
}

function sameAddresses(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): boolean {
  if (before.size !== after.size) return false;
  for (const [name, address] of before) if (after.get(name) !== address) return false;
  return true;
}
