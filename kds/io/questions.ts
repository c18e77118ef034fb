// Questions that a zone was asked on its admin streams, until it has answered or will not.

import type { EnvoyAnswer } from "../../core/envoy_admin.ts";
import type { AdminAnswer, AdminRequest } from "../admin.ts";

/** A zone gives its Envoy 10 s. kuma@v2.13.10:pkg/kds/service/envoy_admin_processor.go */
const ANSWER_MS_MAX = 15_000;
/** On one stream; who asks more is answered here. */
const OPEN_MAX = 256;

interface Asked {
  readonly stream: string;
  readonly settle: (answer: EnvoyAnswer) => void;
  readonly callOff: () => void;
}

/** Does something later, unless it is called off. */
export type Later = (ms: number, act: () => void) => () => void;

export class Questions {
  readonly #open = new Map<string, Asked>();
  readonly #later: Later;

  constructor(later: Later) {
    this.#later = later;
  }

  get waiting(): number {
    return this.#open.size;
  }

  /** `send` is called after the answer can be taken; `settle` once, whatever happens. */
  ask(
    stream: string,
    { id }: AdminRequest,
    { send, settle }: { readonly send: () => void; readonly settle: Asked["settle"] },
  ): void {
    const waiting = [...this.#open.values()].filter((asked) => asked.stream === stream).length;
    if (waiting >= OPEN_MAX) {
      return settle(refusal(`${waiting} questions to this zone wait for an answer`));
    }
    const callOff = this.#later(
      ANSWER_MS_MAX,
      () => this.#settle(id, refusal("the zone did not answer in time")),
    );
    this.#open.set(id, { stream, settle, callOff });
    send();
  }

  /** False: nobody asked, or waits for it any more. Only the stream that was asked may answer. */
  answered(stream: string, { id, answer }: AdminAnswer): boolean {
    if (this.#open.get(id)?.stream !== stream) return false;
    this.#settle(id, answer);
    return true;
  }

  streamEnded(stream: string): void {
    for (const [id, asked] of [...this.#open]) {
      if (asked.stream === stream) this.#settle(id, refusal("the connection of the zone ended"));
    }
  }

  #settle(id: string, answer: EnvoyAnswer): void {
    const asked = this.#open.get(id);
    if (!asked) return;
    this.#open.delete(id);
    asked.callOff();
    asked.settle(answer);
  }
}

function refusal(detail: string): EnvoyAnswer {
  return { ok: false, reason: "failed", detail };
}
