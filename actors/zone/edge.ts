// What a zone's actor asks of the edge that holds its streams.

import type { ServerCommand } from "../../kds/wire.ts";
import { command, type Effect } from "../runtime/actor.ts";

export function unknownStream(stream: string): Effect {
  return close(stream, "internal", "this session is over");
}

export function close(
  stream: string,
  code: (ServerCommand & { do: "close" })["code"],
  message: string,
): Effect {
  return kds({ do: "close", stream, code, message });
}

export function kds(what: ServerCommand): Effect {
  return command("kds", what);
}
