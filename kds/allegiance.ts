// Which global a zone obeys: a stranger, or one that lost its memory, deletes and overwrites nothing.

import { isObject } from "../core/json.ts";
import type { Draft, Resource } from "../core/resource.ts";
import type { GlobalIdentity } from "./wire.ts";

/** The zone's own note, in its own store; never synchronised. */
export const GLOBAL_CONFIG = "ursa-global";

export interface Held {
  readonly by: GlobalIdentity;
  readonly reason: string;
}

/** What the note holds. */
export interface Allegiance {
  readonly accepted: GlobalIdentity | null;
  readonly held: Held | null;
  /**
   * That the accepted global's revision once went back. From then on its number proves nothing: it
   * grows past the one we know, whatever was lost.
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
  if (!accepted) {
    return ownState === 0 ? null : {
      by: peer,
      reason: `this zone has ${ownState} resources of its own that global ${peer.clusterId} ` +
        "would replace or delete",
    };
  }
  if (accepted.clusterId !== peer.clusterId) {
    return {
      by: peer,
      reason: `this zone belongs to global ${accepted.clusterId}, not to ${peer.clusterId}`,
    };
  }
  const reason = lapse ?? lapseOf(accepted, peer);
  return reason === null ? null : { by: peer, reason };
}

/** In words, when the global that a zone belongs to has forgotten something; else null. */
export function lapseOf(accepted: GlobalIdentity | null, peer: GlobalIdentity): string | null {
  if (accepted?.clusterId !== peer.clusterId || peer.revision >= accepted.revision) return null;
  return `global ${peer.clusterId} is at revision ${peer.revision}, but had been at ` +
    `${accepted.revision} before`;
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
      accepted: identityOf(accepted),
      held: null,
      lapse: typeof lapse === "string" ? lapse : null,
    };
  } catch {
    return NO_ALLEGIANCE;
  }
}

function identityOf(value: unknown): GlobalIdentity | null {
  if (!isObject(value)) return null;
  const { clusterId, revision } = value;
  return typeof clusterId === "string" && typeof revision === "number"
    ? { clusterId, revision }
    : null;
}
