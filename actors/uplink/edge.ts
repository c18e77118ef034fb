// What the uplink asks of the edge that holds its connection.

import type { ClientCommand } from "../../kds/wire.ts";
import { command, type Effect } from "../runtime/actor.ts";

export function kds(what: ClientCommand): Effect {
  return command("kds", what);
}
