// What global keeps of how other zones reach a zone without it: as the zone said last.

import { wireName } from "../../kds/wire.ts";
import type { Image } from "../../kds/image.ts";
import { linkName, readLink, writeLink, type ZoneLink, zoneOfLink } from "../../kds/zone_link.ts";
import { sameJson } from "../../core/json.ts";
import { toHub } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";

/** Nothing when it is written down already. `said`: null, that it wants no links. */
export function keepLink(
  { zone, image, said }: {
    readonly zone: string;
    readonly image: Image;
    readonly said: ZoneLink | null;
  },
  at: Context,
): readonly Effect[] {
  const key = { type: "Config", mesh: "", name: linkName(zone) };
  const kept = image.get(key.type)?.get(wireName(key));
  if (said ? kept && sameJson(readLink(kept), said) : !kept) return [];
  return [toHub({
    tag: "write",
    ops: [said ? { op: "put", resource: writeLink(zone, said) } : { op: "delete", key }],
    by: `kds/${zone}`,
    reply: { path: at.self, tag: "link_written", ref: "" },
  })];
}

/** Names of the links that a zone may have to be told anew, now that `changed` is out or in again. */
export function linksToReoffer(
  image: Image,
  { zone, changed }: { readonly zone: string; readonly changed: string },
): readonly string[] {
  return [...image.get("Config") ?? []].filter(([, resource]) => {
    const linked = zoneOfLink(resource);
    return linked !== null && (linked === changed || zone === changed);
  }).map(([local]) => local);
}
