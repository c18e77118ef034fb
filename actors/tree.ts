// The supervision trees of global, remote and standalone, as data.
//
// Order is dependency: a crash of a permanent member restarts it and everything after it.

import { dataplane } from "./dataplane/dataplane.ts";
import { dns, type DnsArgs } from "./dns/dns.ts";
import { DNS } from "./dns/messages.ts";
import { global } from "./global/global.ts";
import { GLOBAL, type GlobalArgs } from "./global/messages.ts";
import { hub, type HubArgs } from "./hub/hub.ts";
import { HUB } from "./hub/messages.ts";
import { identity, type IdentityArgs } from "./identity/identity.ts";
import { IDENTITY } from "./identity/messages.ts";
import { insights } from "./insights/insights.ts";
import { INSIGHTS } from "./insights/messages.ts";
import { mesh } from "./mesh/mesh.ts";
import { PEERS, type PeersArgs } from "./peers/messages.ts";
import { peers } from "./peers/peers.ts";
import { PROXIES } from "./proxies/messages.ts";
import { proxies, type ProxiesArgs } from "./proxies/proxies.ts";
import { RECEIPTS } from "./receipts/messages.ts";
import { receipts } from "./receipts/receipts.ts";
import { many, one, type Tree } from "./runtime/tree.ts";
import { UPLINK, type UplinkArgs } from "./uplink/messages.ts";
import { uplink } from "./uplink/uplink.ts";
import { zone } from "./zone/zone.ts";

export interface ZoneTreeArgs {
  readonly hub: HubArgs;
  readonly identity: IdentityArgs;
  readonly proxies: ProxiesArgs;
  readonly dns: DnsArgs;
  /** Absent under standalone: there is no global to reach. */
  readonly uplink?: UplinkArgs;
  /** Absent when zones are not to speak with each other. */
  readonly peers?: PeersArgs;
}

/** `remote` and `standalone`: everything that serves the proxies of one zone. */
export function zoneTree(args: ZoneTreeArgs): Tree {
  return [
    one(RECEIPTS, receipts, { reportTo: args.uplink ? UPLINK : null, zoneTypes: [] }),
    one(HUB, hub, args.hub),
    // The hub starts them, so only its crash may end them.
    many("meshes", mesh, { reportTo: HUB }),
    one(IDENTITY, identity, args.identity),
    one(INSIGHTS, insights, { reader: args.hub.reader }),
    one(PROXIES, proxies, args.proxies),
    many("dataplanes", dataplane, { reportTo: PROXIES }),
    one(DNS, dns, args.dns),
    ...(args.uplink ? [one(UPLINK, uplink, args.uplink)] : []),
    ...(args.peers ? [one(PEERS, peers, args.peers)] : []),
  ];
}

export interface GlobalTreeArgs {
  readonly hub: HubArgs;
  readonly identity: IdentityArgs;
  readonly global: GlobalArgs;
  /** Types that zones are sent. */
  readonly zoneTypes: readonly string[];
}

/** `global`: resources in, zones out. */
export function globalTree(args: GlobalTreeArgs): Tree {
  return [
    one(RECEIPTS, receipts, { reportTo: null, zoneTypes: args.zoneTypes }),
    one(HUB, hub, args.hub),
    one(IDENTITY, identity, args.identity),
    one(GLOBAL, global, args.global),
    many("zones", zone),
  ];
}
