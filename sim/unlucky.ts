// Places at which bad luck would hurt most: each is active in a quarter of all runs, and then strikes
// now and then, until everything is healed.

import { Dice } from "./dice.ts";

/** Every place, with how often it strikes when it is active. */
export const SITES = {
  "a commit takes a hundred times as long": 0.25,
  "a commit fails though the disk is whole": 0.05,
  "a frame is late by half a second": 0.05,
  "a proxy's stream ends behind a response": 0.05,
  "a zone's stream ends when it is admitted": 0.05,
  "a certificate takes seconds": 0.25,
  "a proxy rejects a good response": 0.05,
  "a health check is lost": 0.25,
  "a stream of health ends behind a report": 0.25,
  "an Envoy does not answer a question": 0.25,
  "a request to the API is late": 0.25,
  "an answer of the API is lost": 0.5,
  "a datagram is lost": 0.25,
  "a datagram comes twice": 0.25,
  "a datagram is overtaken": 0.25,
} as const;

export type UnluckySite = keyof typeof SITES;

export class Luck {
  readonly hits = new Map<UnluckySite, number>();
  readonly #dice = new Map<UnluckySite, Dice | null>();
  readonly #seed: number;
  readonly #share: number;
  healed = false;

  /** `share`: of runs in which a site is active. */
  constructor(seed: number, share: number) {
    this.#seed = seed;
    this.#share = share;
  }

  strikes(site: UnluckySite): boolean {
    if (this.healed) return false;
    let dice = this.#dice.get(site);
    if (dice === undefined) {
      const fresh = new Dice(this.#seed, `unlucky ${site}`);
      dice = fresh.chance(this.#share) ? fresh : null;
      this.#dice.set(site, dice);
    }
    if (!dice?.chance(SITES[site])) return false;
    this.hits.set(site, (this.hits.get(site) ?? 0) + 1);
    return true;
  }
}
