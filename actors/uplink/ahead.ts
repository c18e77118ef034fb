// What a zone knows better than its global, and the end of that.

import { type Ahead, notesOfAhead, readAhead } from "../../kds/ahead.ts";
import type { Image } from "../../kds/image.ts";
import { catchUp, type Receiver, type Write } from "../../kds/receiver.ts";
import type { Op } from "../../store/store.ts";

export function aheadIn(image: Image): Ahead {
  return readAhead(image.get("Config")?.values() ?? []);
}

/** Every zone has had time to come back to global: from now on its word alone holds. */
export function overtaken(receiver: Receiver, image: Image): readonly Write[] {
  const ops = notesOfAhead(image.get("Config")?.values() ?? []).map(({ type, mesh, name }): Op => ({
    op: "delete",
    key: { type, mesh, name },
  }));
  return [
    ...(ops.length === 0 ? [] : [{ ref: `${receiver.id}#ahead`, ops }]),
    ...catchUp(receiver, image),
  ];
}
