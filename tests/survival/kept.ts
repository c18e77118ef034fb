// That nothing that lives is deleted, on global or in a zone, watched while something happens.

import assert from "node:assert/strict";
import type { Zone } from "../../cli/demo/cluster.ts";
import { namesIn } from "./agreement.ts";

/** What a zone has of global, of others, and of its own. */
export const KEPT = ["Mesh", "TrafficPermission", "ZoneIngress", "Dataplane", "Secret"];

const GAP_MS = 500;

type Side = Pick<Zone, "rest">;

export class KeptWatch {
  readonly #sides: readonly Side[];
  readonly #before: readonly ReadonlySet<string>[];
  readonly #lost: string[] = [];
  readonly #watching: Promise<void>;
  #over = false;

  private constructor(sides: readonly Side[], before: readonly ReadonlySet<string>[]) {
    this.#sides = sides;
    this.#before = before;
    this.#watching = this.#watch();
    // When a scenario fails in between, nobody asks any more.
    this.#watching.catch(() => {});
  }

  static async start(sides: readonly Side[]): Promise<KeptWatch> {
    return new KeptWatch(sides, await Promise.all(sides.map((side) => namesIn(side, KEPT))));
  }

  async stop(): Promise<string> {
    this.#over = true;
    await this.#watching;
    await this.#compare();
    assert.deepEqual(this.#lost.slice(0, 3), []);
    const all = this.#before.reduce((sum, { size }) => sum + size, 0);
    return `none of ${all} resources deleted`;
  }

  async #watch(): Promise<void> {
    while (!this.#over) {
      await this.#compare();
      await new Promise((resolve) => setTimeout(resolve, GAP_MS));
    }
  }

  async #compare(): Promise<void> {
    for (const [i, side] of this.#sides.entries()) {
      let now: ReadonlySet<string>;
      try {
        now = await namesIn(side, KEPT);
      } catch {
        // A control plane that is not there tells nothing, and deletes nothing.
        continue;
      }
      for (const name of this.#before[i]!) if (!now.has(name)) this.#lost.push(name);
    }
  }
}
