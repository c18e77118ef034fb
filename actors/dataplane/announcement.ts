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
 * or one with other ports, takes no traffic before it has ACKed its listeners.
 */
export function announce(
  draft: Draft,
  stored: { readonly labels: Labels; readonly spec: unknown } | undefined,
  instance: string,
): Announcement {
  const labelled = instance === ""
    ? draft
    : { ...draft, labels: { ...draft.labels, [INSTANCE_LABEL]: instance } };
  const listens = stored !== undefined && (stored.labels[INSTANCE_LABEL] ?? "") === instance &&
    inboundsOf(stored.spec).every(isReady) &&
    sameJson(inboundsOf(stored.spec).map(placeOf), inboundsOf(draft.spec).map(placeOf));
  const silent = notReady(labelled);
  return listens || silent === labelled
    ? { now: labelled, later: null }
    : { now: silent, later: labelled };
}

/** Known to everybody, and nobody's endpoint. The same draft when it has no inbound. */
export function notReady<Known extends Draft>(draft: Known): Known {
  const inbound = inboundsOf(draft.spec).map((one) => ({ ...one, state: "NotReady" as const }));
  if (inbound.length === 0) return draft;
  const networking = draft.spec["networking"] as JsonObject;
  return { ...draft, spec: { ...draft.spec, networking: { ...networking, inbound } } };
}

function inboundsOf(spec: unknown): readonly Inbound[] {
  return (spec as DataplaneSpec).networking.inbound ?? [];
}

function placeOf({ address, port }: Inbound): readonly (string | number)[] {
  return [address ?? "", port];
}
