// What both ends of a KDS session do alike in a turn: what they tell, count and try again.

import type { JsonObject } from "../../core/resource.ts";
import type { Intaken } from "../../kds/receiver.ts";
import { resendAfter, type Sender, type SenderEvent, type Withheld } from "../../kds/sender.ts";
import { type KeptBack, tellsRefusal } from "../../kds/trust.ts";
import type { KdsResponse } from "../../kds/wire.ts";
import { countFor, MESSAGE_CHARS_MAX, type Subscription } from "../../kds/zone_insight.ts";
import { count, type Effect, log, type LogLevel, timer, type Turn } from "../runtime/actor.ts";

/** The other end. */
export interface Peer {
  /** In metrics. */
  readonly label: string;
  /** In each line of the log. */
  readonly fields: JsonObject;
  readonly says: {
    readonly unsendable: string;
    readonly withheld: string;
    readonly keptBack: string;
    readonly refused: string;
    readonly rejected: string;
    readonly out: string;
  };
}

export interface Refusal {
  readonly typeUrl: string;
  readonly message: string;
}

/** A try that failed is made again after this. */
export const AGAIN_MS = 200;

export function tellUnsendable(
  { says }: Peer,
  what: { readonly type: string; readonly name: string; readonly reason: string },
): readonly Effect[] {
  return [log("error", says.unsendable, what), count("kds_delta_generation_errors")];
}

export function sendAll(
  responses: readonly KdsResponse[],
  subscription: Subscription | null,
  send: (response: KdsResponse) => Effect,
): readonly Effect[] {
  return responses.flatMap((response) => {
    const { typeUrl } = response;
    if (subscription) countFor(subscription, typeUrl, "sent");
    return [send(response), count("kds_delta_responses_sent", { type_url: typeUrl })];
  });
}

export function tellWithheld(
  { label, fields, says }: Peer,
  { typeUrl, reason }: Withheld,
): readonly Effect[] {
  return [
    log("error", says.withheld, { ...fields, type: typeUrl, reason }),
    count("ursa_kds_withheld_total", { peer: label, type: typeUrl }),
  ];
}

export function tellKeptBack(
  { label, fields, says }: Peer,
  { typeUrl, names }: KeptBack,
): readonly Effect[] {
  return [
    log("error", says.keptBack, {
      ...fields,
      type: typeUrl,
      names: names.join(", ").slice(0, MESSAGE_CHARS_MAX),
    }),
    count("ursa_kds_withheld_total", { peer: label, type: typeUrl }),
  ];
}

export function countAnswer({ event, typeUrl }: SenderEvent): Effect {
  const confirmation = event === "acked" ? "ACK" : "NACK";
  return count("kds_delta_requests_received", { type_url: typeUrl, confirmation });
}

/** Told now and then, counted each time, and sent again later. */
export function refused(
  { fields, says }: Peer,
  { typeUrl, message }: Refusal,
  { sender, zone, nowMs }: {
    readonly sender: Sender;
    readonly zone: string;
    readonly nowMs: number;
  },
): readonly Effect[] {
  const reason = message.slice(0, MESSAGE_CHARS_MAX);
  const isTold = tellsRefusal(sender.trust, typeUrl, nowMs);
  const afterMs = resendAfter(sender, typeUrl);
  return [
    ...(isTold ? [log("warn", says.refused, { ...fields, type: typeUrl, reason })] : []),
    count("kds_nack_total", { zone_name: zone, resource_type: typeUrl }),
    ...(afterMs === null
      ? []
      : [timer(`resend ${typeUrl}`, afterMs, { tag: "resend_due", typeUrl })]),
  ];
}

/** The store was away, or ahead. */
export function takeAgainSoon({ again }: Intaken): readonly Effect[] {
  if (again === null) return [];
  return [timer(`again ${again}`, AGAIN_MS, { tag: "again_due", typeUrl: again })];
}

export function attemptLater(afterMs: number | null): readonly Effect[] {
  return afterMs === null ? [] : [timer("attempt", afterMs, { tag: "attempt_due" })];
}

/** What went into quarantine, and what came out of it. */
export function tellTaken(
  { label, fields, says }: Peer,
  { out, rejected, typeUrl }: Intaken,
  level: LogLevel,
): readonly Effect[] {
  const effects: Effect[] = [];
  if (out.length > 0) effects.push(log("info", says.out, { ...fields, names: [...out] }));
  if (rejected.length > 0) {
    const reason = rejected.join("; ").slice(0, MESSAGE_CHARS_MAX);
    effects.push(
      log(level, says.rejected, { ...fields, type: typeUrl, reason }),
      count("ursa_kds_refused_total", { peer: label, type: typeUrl }),
    );
  }
  return effects;
}

/** Whether that is news for the insight. */
export function isNews({ out, rejected }: Intaken): boolean {
  return out.length + rejected.length > 0;
}

/** One turn after the other, each from the state that the one before left. */
export function inTurn<State, Item>(
  first: Turn<State>,
  items: readonly Item[],
  then: (state: State, item: Item) => Turn<State>,
): Turn<State> {
  return items.reduce<Turn<State>>(([state, before], item) => {
    const [next, after] = then(state, item);
    return [next, [...before, ...after]];
  }, first);
}
