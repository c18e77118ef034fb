// The names under the mesh's domain and their virtual addresses: what DNS questions are looked up in.

import ipaddr from "ipaddr.js";
import { compareText } from "../core/resource.ts";

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

const LONGEST_NAME = 253;
/** Printable labels without the escape character: what `readQuestion` leaves as it is. */
const NAME = /^([!-,/-[\]-~-]{1,63}\.)*[!-,/-[\]-~-]{1,63}$/;

/**
 * Names of services: `<service>.mesh`, and with dots for underscores, since many clients refuse
 * underscores. A service's own name wins over another's alias.
 * kuma@v2.13.10:pkg/dns/vips_allocator.go.
 */
export function buildZoneTable(
  vips: Iterable<readonly [service: string, address: string]>,
  { domain, serial }: { readonly domain: string; readonly serial: number },
): ZoneTable {
  const addresses = new Map<string, string>();
  const add = (service: string, address: string) => {
    const name = `${lowerCase(service)}.${domain}`;
    if (name.length > LONGEST_NAME || !NAME.test(name) || addresses.has(name)) return;
    addresses.set(name, address);
  };
  const sorted = [...vips].sort(([a], [b]) => compareText(a, b));
  for (const [service, address] of sorted) add(service, address);
  for (const [service, address] of sorted) add(service.replaceAll("_", "."), address);
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

/** ASCII only: other scripts have letters whose lower case is an ASCII one. */
export function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
