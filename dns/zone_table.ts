// The names under the mesh's domain and their virtual addresses: what DNS questions are looked up in.

import ipaddr from "ipaddr.js";
import { lowerCase, vipNames } from "../core/vip_names.ts";

/** Plain data: built by the actor, read by the server. Names are in lower case, without the last dot. */
export interface ZoneTable {
  /** Such as `mesh`. */
  readonly domain: string;
  /** Grows with every state, as the serial number of a zone does. */
  readonly serial: number;
  readonly addresses: ReadonlyMap<string, string>;
  /** Names that exist only because something below them does; they are no errors: RFC 8020. */
  readonly branches: ReadonlySet<string>;
}

/** What the port `dns` is told. */
export interface DnsCommand {
  readonly command: "publish";
  readonly table: ZoneTable;
}

export type Lookup =
  /** Not under the domain: somebody else's name. */
  | { readonly found: "outside" }
  /** The domain itself. */
  | { readonly found: "apex" }
  | { readonly found: "branch" }
  | { readonly found: "nothing" }
  | { readonly found: "address"; readonly address: string; readonly family: 4 | 6 };

/** Names of services, each with the address that it stands for. */
export function buildZoneTable(
  vips: Iterable<readonly [service: string, address: string]>,
  { domain, serial }: { readonly domain: string; readonly serial: number },
): ZoneTable {
  const addresses = vipNames(vips, domain);
  return { domain, serial, addresses, branches: branchesOf(addresses.keys(), domain) };
}

function branchesOf(names: Iterable<string>, domain: string): ReadonlySet<string> {
  const branches = new Set<string>();
  for (const name of names) {
    let rest = name;
    for (;;) {
      rest = rest.slice(rest.indexOf(".") + 1);
      if (rest.length <= domain.length) break;
      branches.add(rest);
    }
  }
  return branches;
}

/** Letter case does not matter: RFC 4343. */
export function lookUp(table: ZoneTable, name: string): Lookup {
  const wanted = lowerCase(name);
  if (wanted === table.domain) return { found: "apex" };
  if (!wanted.endsWith(`.${table.domain}`)) return { found: "outside" };
  const address = table.addresses.get(wanted);
  if (address !== undefined) {
    return { found: "address", address, family: ipaddr.parse(address).kind() === "ipv4" ? 4 : 6 };
  }
  return { found: table.branches.has(wanted) ? "branch" : "nothing" };
}
