// One fuzzer in a thread of its own, so that an input that stands still can be seen from outside.

import { Campaign, type Failure, minimise } from "./campaign.ts";
import { FUZZERS } from "./fuzzers.ts";

export interface Order {
  readonly name: string;
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  /** Where the input under way is left: count, length, bytes. */
  readonly watched: SharedArrayBuffer;
}

export interface Report {
  readonly inputs: number;
  readonly seconds: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly slowest: { readonly ms: number; readonly input: Uint8Array };
  readonly failure: Failure | null;
}

/** Bytes before those of the input, in what is watched. */
export const WATCHED_HEAD_BYTES = 8;

const scope = self as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(report: Report): void;
};

scope.onmessage = async ({ data }) => {
  scope.postMessage(await run(data));
};

async function run({ name, seed, inputs, seconds, watched }: Order): Promise<Report> {
  const fuzzer = await FUZZERS.get(name)!();
  const campaign = new Campaign(fuzzer, seed);
  const head = new Int32Array(watched, 0, 2);
  const bytes = new Uint8Array(watched, WATCHED_HEAD_BYTES);
  // To collect stacks is most of what refusals take; a failure is repeated with one.
  Error.stackTraceLimit = 0;
  const started = performance.now();
  let slowest: Report["slowest"] = { ms: 0, input: new Uint8Array() };
  let failure: Failure | null = null;
  let now = started;
  while (campaign.inputs < inputs && now - started < 1_000 * seconds && !failure) {
    const input = campaign.next();
    bytes.set(input.subarray(0, bytes.length));
    Atomics.store(head, 1, input.length);
    Atomics.store(head, 0, campaign.inputs);
    failure = campaign.check(input);
    const after = performance.now();
    if (after - now > slowest.ms) slowest = { ms: after - now, input };
    now = after;
  }
  // Nothing is under way any more, however long the rest takes.
  Atomics.store(head, 0, 0);
  Error.stackTraceLimit = 20;
  return {
    inputs: campaign.inputs,
    seconds: (now - started) / 1_000,
    outcomes: campaign.outcomes,
    slowest,
    failure: failure && minimise(fuzzer, failure),
  };
}
