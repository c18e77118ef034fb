// Which policies have a say in which part of a proxy: found by the matching that also generates.

import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { Attachment } from "../../core/inspection.ts";
import { type MeshView, readingView } from "../../core/mesh_view.ts";
import type { InboundDraft, OutboundDraft, ProxyDraft } from "../../core/proxy_draft.ts";
import { compareText, type Resource, type ResourceDescriptor } from "../../core/resource.ts";
import { SERVICE_TAG, type Tags, tagsText } from "../../core/tags.ts";
import {
  concernsTags,
  type ConnectionSpec,
  matchDataplane,
  matchEveryInbound,
  matchInbound,
  matchOutbound,
  type SelectorSpec,
} from "../../policies/match/connection.ts";
import {
  byTargetRef,
  isShadow,
  type Referable,
  selectListeners,
} from "../../policies/match/target_ref.ts";
import { draftDataplane } from "../generate.ts";
import { parseNode } from "../node.ts";

type Side = "dataplane" | "inbound" | "every inbound" | "outbound" | "service" | "every service";

/** What each classic policy is about. kuma@v2.13.10:pkg/core/xds/matched_policies.go. */
const SIDES: Readonly<Record<string, readonly Side[]>> = {
  TrafficPermission: ["inbound"],
  FaultInjection: ["every inbound"],
  RateLimit: ["every inbound", "outbound"],
  Timeout: ["outbound"],
  TrafficRoute: ["outbound"],
  TrafficLog: ["every service"],
  HealthCheck: ["service"],
  CircuitBreaker: ["service"],
  Retry: ["service"],
  TrafficTrace: ["dataplane"],
  ProxyTemplate: ["dataplane"],
};

/** Connections that go to no service of the mesh. kuma@v2.13.10:pkg/core/metadata. */
const PASS_THROUGH = "pass_through";

export function attachmentsOf(
  view: MeshView,
  dataplane: Resource<DataplaneSpec>,
  { kinds, shadow = false }: {
    /** Those of policies. */
    readonly kinds: readonly ResourceDescriptor[];
    /** Takes those in that are only looked at. */
    readonly shadow?: boolean;
  },
): readonly Attachment[] {
  let draft: ProxyDraft | undefined;
  const drafted = () =>
    draft ??= draftDataplane(readingView(view, new Set()), dataplane.spec, { node: parseNode({}) })
      .draft;
  const found = kinds.flatMap((kind): readonly Attachment[] => {
    const resources = view.policies.get(kind.name) ?? [];
    if (resources.length === 0) return [];
    return kind.policy?.targetRef
      ? byReference(resources, { view, dataplane, shadow })
      : byTags(resources, drafted(), SIDES[kind.name] ?? []);
  });
  return merge(found);
}

/** Whether the policy is for the proxy at all. kuma@v2.13.10:pkg/api-server/resource_endpoints.go. */
export function concernsDataplane(
  policy: Resource,
  dataplane: Resource<DataplaneSpec>,
  { kind, referable }: { readonly kind: ResourceDescriptor; readonly referable: Referable },
): boolean {
  if (!kind.policy?.targetRef) {
    const { inbound = [], gateway } = dataplane.spec.networking;
    const tagSets = [...inbound, ...gateway ? [gateway] : []].map(({ tags }) => tags);
    return concernsTags(policy as unknown as Resource<Partial<ConnectionSpec>>, tagSets);
  }
  return isSelected(policy, dataplane, referable);
}

export function referableOf({ policies }: MeshView): Referable {
  return {
    gateways: (policies.get("MeshGateway") ?? []) as unknown as Referable["gateways"],
    httpRoutes: policies.get("MeshHTTPRoute") ?? [],
  };
}

function isSelected(
  policy: Resource,
  dataplane: Resource<DataplaneSpec>,
  referable: Referable,
): boolean {
  const listeners = selectListeners(policy, dataplane, referable);
  return listeners !== null && !("warning" in listeners);
}

function byReference(
  resources: readonly Resource[],
  { view, dataplane, shadow }: {
    readonly view: MeshView;
    readonly dataplane: Resource<DataplaneSpec>;
    readonly shadow: boolean;
  },
): readonly Attachment[] {
  const referable = referableOf(view);
  const policies = byTargetRef(
    resources.filter((policy) =>
      (shadow || !isShadow(policy)) && isSelected(policy, dataplane, referable)
    ),
  );
  return [{ type: "dataplane", name: "", service: "", policies }];
}

function byTags(
  given: readonly Resource[],
  draft: ProxyDraft,
  sides: readonly Side[],
): readonly Attachment[] {
  const resources = given as unknown as readonly Resource<ConnectionSpec>[];
  const sourcesText = draft.tagSets.map(tagsText).join("\n");
  const outbound = (service: string) =>
    matchOutbound(resources, {
      sources: draft.tagSets,
      sourcesText,
      destination: { [SERVICE_TAG]: service },
    });
  return sides.flatMap((side) => {
    switch (side) {
      case "dataplane": {
        const whole = given as unknown as readonly Resource<SelectorSpec>[];
        return [attachment({ type: "dataplane" }, matchDataplane(whole, draft.tagSets))];
      }
      case "inbound":
        return draft.inbounds.map((one) =>
          attachment(inboundPart(one), matchInbound(resources, one.tags))
        );
      case "every inbound":
        return draft.inbounds.map((one) =>
          attachment(inboundPart(one), ...matchEveryInbound(resources, one.tags))
        );
      case "outbound":
        return draft.outbounds.map((one) =>
          attachment(outboundPart(one), outbound(serviceOf(one.tags)))
        );
      case "service":
      case "every service":
        return servicesOf(draft, side).map((service) =>
          attachment({ type: "service", name: service, service }, outbound(service))
        );
    }
  });
}

function servicesOf(
  { outbounds }: ProxyDraft,
  side: "service" | "every service",
): readonly string[] {
  // What logs is about the listener, what guards is about where its routes lead.
  const named = side === "every service"
    ? [...outbounds.map(({ tags }) => tags), { [SERVICE_TAG]: PASS_THROUGH }]
    : outbounds.flatMap(({ routes }) =>
      routes.flatMap(({ split }) => split.map(({ tags }) => tags))
    );
  return [...new Set(named.map(serviceOf))];
}

function serviceOf(tags: Tags): string {
  return tags[SERVICE_TAG] ?? "";
}

function inboundPart({ address, port, workloadPort, tags }: InboundDraft) {
  const name = `${address}:${port}:${workloadPort}`;
  return { type: "inbound", name, service: serviceOf(tags) } as const;
}

function outboundPart({ address, port, tags }: OutboundDraft) {
  const name = `${address.includes(":") ? `[${address}]` : address}:${port}`;
  return { type: "outbound", name, service: serviceOf(tags) } as const;
}

function attachment(
  { type, name = "", service = "" }: Pick<Attachment, "type"> & Partial<Attachment>,
  ...policies: readonly (Resource<unknown> | undefined)[]
): Attachment {
  return {
    type,
    name,
    service,
    policies: policies.filter((policy) => policy !== undefined) as Resource[],
  };
}

/** One attachment for each part that any policy is for. */
function merge(all: readonly Attachment[]): readonly Attachment[] {
  const parts = new Map<string, Attachment>();
  for (const one of all) {
    const key = `${one.type} ${one.name} ${one.service}`;
    const policies = [...parts.get(key)?.policies ?? [], ...one.policies];
    if (policies.length > 0) parts.set(key, { ...one, policies });
  }
  return [...parts].sort(([a], [b]) => compareText(a, b)).map(([, part]) => part);
}
