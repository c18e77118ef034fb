// How many endpoints an Envoy has in each of its clusters, watched while something happens.

import assert from "node:assert/strict";
import type { Proxy } from "../../cli/demo/cluster.ts";

const GAP_MS = 200;

/** Sees to it that an Envoy never has less endpoints than at the beginning. */
export class EndpointWatch {
  readonly #proxy: Proxy;
  readonly #before: ReadonlyMap<string, number>;
  readonly #lost: string[] = [];
  #over = false;
  readonly #watching: Promise<void>;

  private constructor(proxy: Proxy, before: ReadonlyMap<string, number>) {
    this.#proxy = proxy;
    this.#before = before;
    this.#watching = this.#watch();
    // When a scenario fails in between, nobody asks any more.
    this.#watching.catch(() => {});
  }

  static async start(proxy: Proxy): Promise<EndpointWatch> {
    return new EndpointWatch(proxy, await endpoints(proxy));
  }

  /** How many there are; throws when one was missing for a while. */
  async stop(): Promise<string> {
    this.#over = true;
    await this.#watching;
    await this.#compare();
    assert.deepEqual(this.#lost.slice(0, 3), []);
    const all = [...this.#before.values()].reduce((sum, count) => sum + count, 0);
    return `none of ${all} endpoints was taken away`;
  }

  async #watch(): Promise<void> {
    while (!this.#over) {
      await this.#compare();
      await new Promise((resolve) => setTimeout(resolve, GAP_MS));
    }
  }

  async #compare(): Promise<void> {
    const now = await endpoints(this.#proxy);
    for (const [cluster, count] of this.#before) {
      const left = now.get(cluster) ?? 0;
      if (left < count) this.#lost.push(`${cluster} has ${left} of ${count}`);
    }
  }
}

/** By cluster. */
async function endpoints(proxy: Proxy): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${proxy.admin}/stats?filter=membership_total`)).text();
  return new Map(
    [...text.matchAll(/^cluster\.(.+)\.membership_total: (\d+)$/gm)].map(([, name, count]) => [
      name!,
      Number(count),
    ]),
  );
}
