// Every kind that this Ursa knows: the fixed ones, and those that policies bring.

import { KindTable } from "../core/kind_table.ts";
import { KINDS } from "../core/kinds.ts";
import { POLICIES } from "../policies/registry.gen.ts";

export function everyKind(): KindTable {
  return new KindTable([...KINDS, ...POLICIES.map(({ resource }) => resource)]);
}
