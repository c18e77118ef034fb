// What another zone refused of what this one told it: told now and then, and sent again later.

import { resendAfter } from "../../kds/sender.ts";
import { tellsRefusal } from "../../kds/trust.ts";
import { MESSAGE_CHARS_MAX } from "../../kds/zone_insight.ts";
import { type Effect, log, timer } from "../runtime/actor.ts";
import type { Refusal } from "../session/session.ts";
import type { Link } from "./link.ts";
import type { PeersMsg } from "./messages.ts";

export function refusedBy(
  zone: string,
  { typeUrl, message }: Refusal,
  { sender, nowMs }: Pick<Link, "sender"> & { readonly nowMs: number },
): readonly Effect[] {
  const isTold = tellsRefusal(sender.trust, typeUrl, nowMs);
  const afterMs = resendAfter(sender, typeUrl);
  const reason = message.slice(0, MESSAGE_CHARS_MAX);
  const due: PeersMsg = { tag: "resend_due", peer: zone, typeUrl };
  return [
    ...(isTold
      ? [log("warn", "another zone rejected what this one told it", { zone, reason })]
      : []),
    ...(afterMs === null ? [] : [timer(`resend ${zone} ${typeUrl}`, afterMs, due)]),
  ];
}
