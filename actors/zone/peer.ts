// What is said of a zone in log and metrics.

import type { Peer } from "../session/session.ts";

export function peerOf(zone: string): Peer {
  return { label: zone, fields: { zone }, says: SAYS };
}

const SAYS: Peer["says"] = {
  unsendable: "resource cannot be sent to zones",
  withheld: "not sent to the zone",
  keptBack: "kept back: the zone ended its stream on it, twice",
  refused: "zone rejected resources",
  rejected: "resources of a zone rejected",
  out: "resources of a zone out of quarantine",
};
