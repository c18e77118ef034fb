// A thread of a batch: runs one seed after the other, as it is told.

import { resultOf } from "../batch.ts";
import { Coverage } from "../coverage.ts";
import type { Answer, Order } from "./threads.ts";

const coverage = new Coverage();
const thread = self as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(answer: Answer): void;
};

thread.onmessage = ({ data }) => {
  thread.postMessage(
    data ? { result: resultOf(data.seed, data.batch, coverage) } : { hits: coverage.groups },
  );
};
