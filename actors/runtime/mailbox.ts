// A bounded queue of messages in which newer state may replace older.

import type { MailboxPolicy, Message, Path } from "./actor.ts";

export interface Envelope<Msg extends Message = Message> {
  msg: Msg;
  readonly from: Path;
}

export type Admission = "queued" | "coalesced" | "shed" | "refused" | "overflow";

/** First in, first out; a coalesced message keeps the place of the one it replaces. */
export class Mailbox<Msg extends Message = Message> {
  readonly #policy: MailboxPolicy<Msg>;
  #queue: (Envelope<Msg> | undefined)[] = [];
  #head = 0;
  readonly #waiting = new Map<string, Envelope<Msg>>();
  #peak = 0;

  constructor(policy: MailboxPolicy<Msg>) {
    this.#policy = policy;
  }

  get depth(): number {
    return this.#queue.length - this.#head;
  }

  /** The most that ever waited: how close the bound came. */
  get peak(): number {
    return this.#peak;
  }

  push(msg: Msg, from: Path): Admission {
    const key = this.#policy.coalesce?.(msg) ?? null;
    const waiting = key === null ? undefined : this.#waiting.get(key);
    if (waiting) {
      waiting.msg = this.#policy.merge ? this.#policy.merge(waiting.msg, msg) : msg;
      return "coalesced";
    }
    const admission = this.depth < this.#policy.capacity ? "queued" : this.#full();
    if (admission === "refused" || admission === "overflow") return admission;
    const envelope = { msg, from };
    this.#queue.push(envelope);
    if (key !== null) this.#waiting.set(key, envelope);
    this.#peak = Math.max(this.#peak, this.depth);
    return admission;
  }

  shift(): Envelope<Msg> | undefined {
    const envelope = this.#queue[this.#head];
    if (!envelope) return undefined;
    // What was taken is held no longer: an actor that is told little would keep it for days.
    this.#queue[this.#head] = undefined;
    this.#head++;
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0;
      this.#head = 0;
    }
    // Compact now and then: shifting an array on each message would copy it each time.
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const key = this.#policy.coalesce?.(envelope.msg) ?? null;
    if (key !== null) this.#waiting.delete(key);
    return envelope;
  }

  #full(): Admission {
    switch (this.#policy.whenFull) {
      case "shed_oldest":
        this.shift();
        return "shed";
      case "refuse":
        return "refused";
      case "crash":
        return "overflow";
    }
  }
}
