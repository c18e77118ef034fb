// Rules by the inbounds and outbounds of a proxy that they hold for: the older way to tell them. kuma@v2.13.10:pkg/core/xds/inspect/rules.go.

import type { DataplaneSpec, Outbound } from "../../core/dataplane.ts";
import type { RuleAttachment, TypeRules } from "../../core/inspection.ts";
import { compareText, type Resource } from "../../core/resource.ts";
import { SERVICE_TAG, type Tags } from "../../core/tags.ts";
import { contains } from "../../policies/match/subset.ts";
import { destinationClusterName } from "../envoy/names.ts";

export function ruleAttachments(
  { spec: { networking: { outbound = [] } } }: Resource<DataplaneSpec>,
  types: readonly TypeRules[],
): readonly RuleAttachment[] {
  return types.flatMap((type) => [
    ...single(type),
    ...clients(type),
    ...destinations(type, outbound),
  ]).sort((a, b) => compareText(a.name, b.name) || compareText(a.type, b.type));
}

function single({ type, single }: TypeRules): readonly RuleAttachment[] {
  return !single ? [] : [{
    type: "SingleItem",
    name: "",
    addresses: [],
    service: "",
    tags: {},
    policyType: type,
    rule: { ...single, subset: [] },
  }];
}

function clients({ type, inbounds }: TypeRules): readonly RuleAttachment[] {
  return inbounds.flatMap(({ address, port, tags, from }) =>
    from.map((rule) => ({
      type: "ClientSubset" as const,
      ...known(tags),
      addresses: [`${address}:${port}`],
      policyType: type,
      rule,
    }))
  );
}

function destinations(
  { type, to }: TypeRules,
  outbounds: readonly Outbound[],
): readonly RuleAttachment[] {
  const found = new Map<string, RuleAttachment>();
  for (const { address = "127.0.0.1", port, tags } of outbounds) {
    const rule = tags?.[SERVICE_TAG] ? to.find(({ subset }) => contains(subset, tags)) : undefined;
    if (!rule || !tags) continue;
    const about = known(tags);
    const { addresses = [] } = found.get(about.name) ?? {};
    found.set(about.name, {
      type: "DestinationSubset",
      ...about,
      addresses: [...new Set([...addresses, `${address}:${port}`])],
      policyType: type,
      rule,
    });
  }
  return [...found.values()];
}

function known(tags: Tags): Pick<RuleAttachment, "name" | "service" | "tags"> {
  return { name: destinationClusterName(tags), service: tags[SERVICE_TAG] ?? "", tags };
}
