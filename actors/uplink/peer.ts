// What is said of global in log and metrics.

import type { Peer } from "../session/session.ts";

export const GLOBAL: Peer = {
  label: "global",
  fields: {},
  says: {
    unsendable: "resource cannot be sent to global",
    withheld: "not sent to global",
    keptBack: "kept back: global ended the stream on it, twice",
    refused: "global rejected resources of this zone",
    rejected: "resources of global rejected",
    out: "resources of global out of quarantine",
  },
};
