// Who global says that it is.

import { EPOCHS_CONFIG, readEpochs } from "../../kds/epochs.ts";
import { CLUSTER_ID_CONFIG } from "../../kds/filter.ts";
import { type GlobalIdentity, wireName } from "../../kds/wire.ts";
import type { State } from "./state.ts";

/** Null until both are written: a zone has to know who sends, and that it forgot nothing. */
export function identityOf({ args, down, image, revision }: State): GlobalIdentity | null {
  const note = (name: string) => image?.get("Config")?.get(wireName({ mesh: "", name }));
  const clusterId = note(CLUSTER_ID_CONFIG)?.spec["config"];
  const epochs = readEpochs(note(EPOCHS_CONFIG));
  if (typeof clusterId !== "string" || clusterId === "") return null;
  if (epochs.at(-1)?.id !== args.instance) return null;
  // Who has answered has judged its past already.
  return { clusterId, revision, epochs: down?.answeredRevision ? epochs.slice(-1) : epochs };
}
