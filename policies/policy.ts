// What a policy is: a kind of resource, the proxies that it matches, and what it edits there.

import type { InboundDraft, OutboundDraft, ProxyDraft } from "../core/proxy_draft.ts";
import type { Resource, ResourceDescriptor } from "../core/resource.ts";
import { type Check, checkedBy } from "../core/shape.ts";
import { type Tags, tagsText } from "../core/tags.ts";
import { type ConnectionSpec, matchInbound, matchOutbound } from "./match/connection.ts";

/** Order of application: each phase sees what those before it did. */
export const PHASES = ["route", "secure", "shape", "observe", "patch"] as const;
export type Phase = typeof PHASES[number];

/** The most specific resource for each side of a proxy. */
export interface Matched<Spec> {
  inbound(inbound: InboundDraft): Resource<Spec> | undefined;
  outbound(outbound: OutboundDraft): Resource<Spec> | undefined;
}

interface PolicyParts<Spec> {
  readonly phase: Phase;
  /** Names of policies of the same phase that must come first. */
  readonly after: readonly string[];
  /** "connection": by sources and destinations. */
  readonly matches: "connection";
  /** Edits the draft where it matched, and nowhere else. Idempotent. */
  readonly apply: (draft: ProxyDraft, matched: Matched<Spec>) => void;
  /**
   * For zone ingresses: every tag set to which proxies of the mesh may send traffic for `service`,
   * given all resources of this policy. Policies that do not route have none.
   */
  readonly destinations?: (
    resources: readonly Resource<Spec>[],
    service: string,
  ) => readonly Tags[];
}

export interface Definition<Spec> extends PolicyParts<Spec> {
  readonly resource: Omit<ResourceDescriptor, "validate" | "notes">;
  readonly shape: Check;
}

/** A policy with its spec type sealed in: resources go in as the store holds them. */
export interface Policy {
  readonly resource: ResourceDescriptor;
  readonly phase: Phase;
  readonly after: readonly string[];
  readonly matches: "connection";
  readonly apply: (draft: ProxyDraft, resources: readonly Resource[]) => void;
  readonly destinations?: (resources: readonly Resource[], service: string) => readonly Tags[];
}

/** Resources reach a policy only in its own `shape`, so their specs have its type. */
export function definePolicy<Spec extends ConnectionSpec>(definition: Definition<Spec>): Policy {
  const { resource, shape, apply, destinations, phase, after, matches } = definition;
  const typed = (resources: readonly Resource[]) =>
    resources as unknown as readonly Resource<Spec>[];
  return {
    resource: { policy: {}, ...resource, ...checkedBy(shape) },
    phase,
    after,
    matches,
    apply: (draft, resources) => apply(draft, byConnection(draft, typed(resources))),
    ...(destinations && {
      destinations: (resources: readonly Resource[], service: string) =>
        destinations(typed(resources), service),
    }),
  };
}

function byConnection<Spec extends ConnectionSpec>(
  draft: ProxyDraft,
  resources: readonly Resource<Spec>[],
): Matched<Spec> {
  const sources = draft.tagSets;
  const sourcesText = sources.map(tagsText).join("\n");
  return {
    inbound: ({ tags }) => matchInbound(resources, tags),
    outbound: ({ tags }) => matchOutbound(resources, { sources, sourcesText, destination: tags }),
  };
}
