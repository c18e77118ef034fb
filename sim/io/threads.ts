// Many seeds, one after the other or over several threads: what each came to, and what all of them hit.

import { type Batch, type Result, resultOf } from "../batch.ts";
import { Coverage, type Hits } from "../coverage.ts";

/** A worker gets a seed, or null when there are no more; it answers with a result, or with all hits. */
export type Order = { readonly seed: number; readonly batch: Batch } | null;
export type Answer = { readonly result: Result } | { readonly hits: Hits };

/** Takes seeds until there are no more; with several jobs, results come in any order. */
export async function runBatch(
  seeds: Iterator<number, void>,
  batch: Batch,
  jobs: number,
  each: (result: Result) => void,
): Promise<Coverage> {
  const coverage = new Coverage();
  if (jobs === 1) {
    for (let next = seeds.next(); !next.done; next = seeds.next()) {
      each(resultOf(next.value, batch, coverage));
    }
    return coverage;
  }
  const workers = Array.from({ length: jobs }, () => work(seeds, batch, each));
  for (const hits of await Promise.all(workers)) coverage.merge(hits);
  return coverage;
}

function work(
  seeds: Iterator<number, void>,
  batch: Batch,
  each: (result: Result) => void,
): Promise<Hits> {
  const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
  const order = () => {
    const next = seeds.next();
    worker.postMessage((next.done ? null : { seed: next.value, batch }) satisfies Order);
  };
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("hits" in data) {
        worker.terminate();
        return resolve(data.hits);
      }
      each(data.result);
      order();
    };
    order();
  });
}
