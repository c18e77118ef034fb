// Where each class of kinds may be written, and which way it goes: Kuma's KDS flags in words.

import type { KdsClass } from "./resource.ts";

export interface Travel {
  /** Users may write it on global. */
  readonly byGlobal: boolean;
  /** Users may write it in a zone that has a global; one without may write everything. */
  readonly byZone: boolean;
  /** What global wrote goes to the zones. */
  readonly down: boolean;
  /** What a zone wrote goes to global. */
  readonly up: boolean;
  /** What a zone wrote goes through global to the other zones: all of it, or what producers wrote. */
  readonly across: "never" | "all" | "producers";
}

const LOCAL: Travel = { byGlobal: true, byZone: true, down: false, up: false, across: "never" };

/** kuma@v2.13.10:pkg/core/resources/model/resource.go (KDSFlagType). */
export const TRAVEL: Readonly<Record<KdsClass, Travel>> = {
  local: LOCAL,
  global: { ...LOCAL, byZone: false, down: true },
  shared: { ...LOCAL, down: true },
  both: { ...LOCAL, down: true, up: true },
  policy: { ...LOCAL, down: true, up: true, across: "producers" },
  zone: { ...LOCAL, byGlobal: false, up: true },
  across: { ...LOCAL, byGlobal: false, up: true, across: "all" },
};
