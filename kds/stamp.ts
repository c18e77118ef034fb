// At which revision of its home zone a resource was written: of two words about it, the newer is known.

import type { Draft, Labels, ResourceDescriptor } from "../core/resource.ts";

/** Travels between Ursa's control planes alone, on what zones tell each other. */
const STAMP_LABEL = "ursa.io/revision";

/** What zones tell each other without global: where they are entered, and which services are there. */
export function isBetweenZones({ name }: Pick<ResourceDescriptor, "name">): boolean {
  return name === "ZoneIngress";
}

export function stamped(draft: Draft, revision: number): Draft {
  return { ...draft, labels: { ...draft.labels, [STAMP_LABEL]: String(revision) } };
}

export function unstamped(draft: Draft): Draft {
  if (draft.labels[STAMP_LABEL] === undefined) return draft;
  const { [STAMP_LABEL]: _stamp, ...labels } = draft.labels;
  return { ...draft, labels };
}

/** 0: it does not say. */
export function stampOf({ labels }: { readonly labels: Labels }): number {
  const text = labels[STAMP_LABEL] ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
