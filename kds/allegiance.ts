// Which global a zone obeys: a stranger, or one that lost its memory, deletes and overwrites nothing.

import { isObject } from "../core/json.ts";
import type { Draft, Resource } from "../core/resource.ts";
import { isTold, remembers, type Seen } from "./epochs.ts";
import type { GlobalIdentity } from "./wire.ts";

/** The zone's own note, in its own store; never synchronised. */
export const GLOBAL_CONFIG = "ursa-global";

export interface Held {
  readonly by: Pick<GlobalIdentity, "clusterId" | "revision">;
  readonly reason: string;
}

/** How far a global had come, and in which of its runs, when we heard of it last. */
export interface Accepted extends Seen {
  readonly clusterId: string;
}

/** What the note holds. */
export interface Allegiance {
  readonly accepted: Accepted | null;
  readonly held: Held | null;
  /**
   * That the accepted global's revision once went back. From then on its number proves nothing, as it
   * grows past the one we know, whatever was lost; only its runs do.
   */
  readonly lapse: string | null;
}

export const NO_ALLEGIANCE: Allegiance = { accepted: null, held: null, lapse: null };

/**
 * `ownState`: how many resources there are of kinds that only global writes, which none wrote: a
 * zone that stood alone before.
 */
export function judge(
  { accepted, lapse }: Allegiance,
  peer: GlobalIdentity,
  ownState: number,
): Held | null {
  const { clusterId, revision } = peer;
  const by = { clusterId, revision };
  if (!accepted) {
    return ownState === 0 ? null : {
      by,
      reason: `this zone has ${ownState} resources of its own that global ${peer.clusterId} ` +
        "would replace or delete",
    };
  }
  if (accepted.clusterId !== peer.clusterId) {
    return {
      by,
      reason: `this zone belongs to global ${accepted.clusterId}, not to ${peer.clusterId}`,
    };
  }
  const reason = lapseOf({ accepted, lapse }, peer);
  return reason === null ? null : { by, reason };
}

/** In words, when the global that a zone belongs to has forgotten something; else null. */
export function lapseOf(
  { accepted, lapse }: Pick<Allegiance, "accepted" | "lapse">,
  peer: GlobalIdentity,
): string | null {
  if (accepted?.clusterId !== peer.clusterId) return lapse;
  if (lapse !== null && !isTold(peer.epochs, accepted)) return lapse;
  if (remembers(peer.epochs, peer.revision, accepted)) return null;
  const had = `global ${peer.clusterId} is at revision ${peer.revision}, but had been at ` +
    `${accepted.revision} before`;
  return peer.revision < accepted.revision
    ? had
    : `${had}, in a run that it does not know: it was restored from a backup`;
}

export function acceptedOf({ clusterId, revision, epochs }: GlobalIdentity): Accepted {
  return { clusterId, revision, epoch: epochs.at(-1)?.id ?? "" };
}

/** What to do about it, for both sides' eyes. */
export const ADVICE = "`ursa ctl zone accept-global` in the zone takes it for the right one";

export function writeAllegiance({ accepted, held, lapse }: Allegiance): Draft {
  return {
    type: "Config",
    mesh: "",
    name: GLOBAL_CONFIG,
    labels: {},
    spec: {
      config: JSON.stringify({
        ...(accepted && { accepted }),
        ...(held && { held }),
        ...(lapse !== null && { lapse }),
      }),
    },
  };
}

/** A note that cannot be read counts as none: then the zone's state speaks (see `judge`). */
export function readAllegiance(resource: Resource | undefined): Allegiance {
  const { config } = resource?.spec ?? {};
  if (typeof config !== "string") return NO_ALLEGIANCE;
  try {
    const { accepted, lapse } = JSON.parse(config);
    return {
      accepted: readAccepted(accepted),
      held: null,
      lapse: typeof lapse === "string" ? lapse : null,
    };
  } catch {
    return NO_ALLEGIANCE;
  }
}

function readAccepted(value: unknown): Accepted | null {
  if (!isObject(value)) return null;
  const { clusterId, revision, epoch } = value;
  return typeof clusterId === "string" && typeof revision === "number"
    ? { clusterId, revision, epoch: typeof epoch === "string" ? epoch : "" }
    : null;
}
