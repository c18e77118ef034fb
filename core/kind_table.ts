// All kinds of a control plane, by every name they have.

import { assert } from "./assert.ts";
import { nearest } from "./nearest.ts";
import type { ResourceDescriptor } from "./resource.ts";

export class KindTable {
  readonly #all: readonly ResourceDescriptor[];
  readonly #names: ReadonlyMap<string, ResourceDescriptor>;
  readonly #plurals: ReadonlyMap<string, ResourceDescriptor>;
  readonly #args: ReadonlyMap<string, ResourceDescriptor>;

  constructor(kinds: readonly ResourceDescriptor[]) {
    this.#all = [...kinds];
    this.#names = index(kinds, ({ name }) => [name]);
    this.#plurals = index(kinds, ({ plural, alternativePlurals = [] }) => [
      plural,
      ...alternativePlurals,
    ]);
    this.#args = index(kinds, ({ args }) => args);
  }

  /** In the order in which they were given. */
  all(): readonly ResourceDescriptor[] {
    return this.#all;
  }

  byName(name: string): ResourceDescriptor | undefined {
    return this.#names.get(name);
  }

  /** By its REST collection. */
  byPlural(plural: string): ResourceDescriptor | undefined {
    return this.#plurals.get(plural);
  }

  /** By a word of the command line. */
  byArg(word: string): ResourceDescriptor | undefined {
    return this.#args.get(word.toLowerCase());
  }

  /** The command-line word that was probably meant. */
  nearestArg(word: string): string | undefined {
    return nearest(word, this.#args.keys());
  }
}

function index(
  kinds: readonly ResourceDescriptor[],
  wordsOf: (kind: ResourceDescriptor) => readonly string[],
): ReadonlyMap<string, ResourceDescriptor> {
  const found = new Map<string, ResourceDescriptor>();
  for (const kind of kinds) {
    for (const word of wordsOf(kind)) {
      assert(!found.has(word), `Two kinds are called "${word}"`);
      found.set(word, kind);
    }
  }
  return found;
}
