// Which host name leads to which virtual address.

import { meshHostnames } from "./names.ts";
import { compareText } from "./resource.ts";

const LONGEST_NAME = 253;
/** Printable labels without the escape character: what questions have, read as they are. */
const NAME = /^([!-,/-[\]-~-]{1,63}\.)*[!-,/-[\]-~-]{1,63}$/;

/**
 * In lower case, without the last dot, and only what can be a host name at all. A service's own
 * name wins over another's alias.
 */
export function vipNames(
  vips: Iterable<readonly [service: string, address: string]>,
  domain = "mesh",
): ReadonlyMap<string, string> {
  const sorted = [...vips].sort(([a], [b]) => compareText(a, b))
    .map(([service, address]) => [meshHostnames(service, domain).map(lowerCase), address] as const);
  const found = new Map<string, string>();
  const add = (name: string | undefined, address: string) => {
    if (name === undefined || name.length > LONGEST_NAME || !NAME.test(name)) return;
    if (!found.has(name)) found.set(name, address);
  };
  for (const [[own], address] of sorted) add(own, address);
  for (const [[, dotted], address] of sorted) add(dotted, address);
  return found;
}

/** ASCII only: other scripts have letters whose lower case is an ASCII one. */
export function lowerCase(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
