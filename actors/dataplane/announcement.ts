// When a proxy becomes an endpoint of others: once it listens, not when it has said hello.

import { type DataplaneSpec, type Inbound, isReady } from "../../core/dataplane.ts";
import { sameJson } from "../../core/json.ts";
import type { Draft, JsonObject, Labels } from "../../core/resource.ts";

/** Which run of the dp process a stored registration is of, so that a restarted control plane knows. */
export const INSTANCE_LABEL = "ursa.io/instance";

export interface Announcement {
  /** To be stored when the stream opens. */
  readonly now: Draft;
  /** To be stored when the proxy has its listeners; null when it has them already. */
  readonly later: Draft | null;
}

/**
 * A stream that comes back finds the proxy listening: then nothing changes for others. A new run,
 * or one with other ports, takes no traffic before it has ACKed its listeners. Of a peer that does
 * not say which run it is, `returning` tells whether an Envoy of it runs with a configuration.
 */
export function announce(
  draft: Draft,
  stored: { readonly labels: Labels; readonly spec: unknown } | undefined,
  { instance, returning }: { readonly instance: string; readonly returning: boolean },
): Announcement {
  const labelled = instance === ""
    ? draft
    : { ...draft, labels: { ...draft.labels, [INSTANCE_LABEL]: instance } };
  const listens = stored !== undefined && (stored.labels[INSTANCE_LABEL] ?? "") === instance &&
    (instance !== "" || returning) &&
    inboundsOf(stored.spec).every((one) => isReady(one) || one.serviceProbe !== undefined) &&
    samePlaces(stored.spec, draft.spec);
  if (listens) return { now: asStored(labelled, inboundsOf(stored.spec)), later: null };
  const silent = notReady(labelled);
  return { now: silent, later: silent === labelled ? null : labelled };
}

/** What is probed stays as the last probe left it. */
function asStored(draft: Draft, stored: readonly Inbound[]): Draft {
  const inbound = inboundsOf(draft.spec).map((one, index) => {
    const { state, health } = stored[index]!;
    return one.serviceProbe ? { ...one, ...(state && { state }), ...(health && { health }) } : one;
  });
  if (!inbound.some(({ serviceProbe }) => serviceProbe)) return draft;
  const networking = draft.spec["networking"] as JsonObject;
  return {
    ...draft,
    spec: { ...draft.spec, networking: { ...networking, inbound: inbound as never } },
  };
}

/** Known to everybody, and nobody's endpoint. The same draft when it has no inbound. */
export function notReady<Known extends Draft>(draft: Known): Known {
  const inbound = inboundsOf(draft.spec).map((one) => ({ ...one, state: "NotReady" as const }));
  if (inbound.length === 0) return draft;
  const networking = draft.spec["networking"] as JsonObject;
  return { ...draft, spec: { ...draft.spec, networking: { ...networking, inbound } } };
}

export function samePlace(a: Inbound, b: Inbound): boolean {
  return sameJson(placeOf(a), placeOf(b));
}

/** Whether who listens as the one spec says does so as the other says. */
export function samePlaces(a: unknown, b: unknown): boolean {
  return sameJson(inboundsOf(a).map(placeOf), inboundsOf(b).map(placeOf));
}

export function inboundsOf(spec: unknown): readonly Inbound[] {
  return (spec as DataplaneSpec).networking.inbound ?? [];
}

function placeOf({ address, port }: Inbound): readonly (string | number)[] {
  return [address ?? "", port];
}
