// What policies with a targetRef mean for a proxy: merged, by type. kuma@v2.13.10:pkg/api-server/resource_endpoints.go (rulesForResource).

import type {
  DestinationRule,
  InboundRules,
  ItemOrigin,
  RuleAttachment,
  SubsetRule,
  TypeRules,
} from "../../core/inspection.ts";
import { objectOf } from "../../core/json.ts";
import type { Json, JsonObject, Resource } from "../../core/resource.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import type { ApiView } from "../ports.ts";
import { badRequest } from "../problem.ts";
import { renderIdentity } from "../render.ts";
import { type Call, get, type Route } from "../route.ts";
import { find, isAnswer, isExclusive } from "./lookup.ts";

export const RULE_ROUTES: readonly Route[] = [
  get("/meshes/{mesh}/dataplanes/{name}/_rules", ofDataplane),
  get("/meshes/{mesh}/meshgateways/{name}/_rules", ofGateway),
  get("/meshes/{mesh}/dataplanes/{name}/rules", attachments),
];

const MESH = "Failed to retrieve Mesh";

function ofDataplane(call: Call): ApiAnswer {
  const found = find(call, "Dataplane", { mesh: MESH, item: "Could not retrieve Dataplane" });
  return isAnswer(found) ? found : rulesOf(found, found, call);
}

/** Of a proxy that would serve the gateway: most of what any that does has. */
function ofGateway(call: Call): ApiAnswer {
  const found = find(call, "MeshGateway", { mesh: MESH, item: "Could not retrieve MeshGateway" });
  if (isAnswer(found)) return found;
  const [selector] = (found.spec["selectors"] ?? []) as readonly JsonObject[];
  if (!selector) return badRequest("a MeshGateway without selectors has no proxies");
  const gateway = { type: "BUILTIN", tags: objectOf(selector["match"]) };
  const proxy = { ...found, spec: { networking: { address: "", gateway } } };
  return rulesOf(proxy, found, call);
}

function rulesOf(proxy: Resource, resource: Resource, { view }: Call): ApiAnswer {
  const types = view.inspection.rules(proxy);
  // Tags describe no destination where only resources do.
  const exclusive = isExclusive(proxy.mesh, view);
  return json({
    httpMatches: httpMatches(types, view),
    resource: renderIdentity(resource),
    rules: types.map(({ type, single, to, destinations, inbounds, warnings }) => ({
      type,
      toRules: exclusive ? [] : to.map(subsetRule),
      toResourceRules: destinations.map(destinationRule),
      fromRules: inbounds.filter(({ from }) => from.length > 0)
        .map((one) => ({ inbound: inbound(one), rules: one.from.map(subsetRule) })),
      inboundRules: inbounds.filter(({ rules }) => rules.length > 0)
        .map((one) => ({ inbound: inbound(one), rules: one.rules.map(inboundRule) })),
      ...(single &&
        { proxyRule: { conf: single.conf, origin: single.origin.map(renderIdentity) } }),
      warnings,
    })),
  });
}

/** What the hashes in rules stand for, in order of the hashes. */
function httpMatches(types: readonly TypeRules[], { inspection }: ApiView): Json {
  const routes = types.find(({ type }) => type === "MeshHTTPRoute")?.to ?? [];
  const found = routes.flatMap(({ conf }) => (conf["rules"] ?? []) as readonly JsonObject[])
    .map(({ matches = [] }) => [inspection.matchesHash(matches), matches] as const);
  return [...new Map(found)].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([hash, match]) => ({ hash, match }));
}

function subsetRule({ subset, conf, origin }: SubsetRule): JsonObject {
  return {
    conf,
    matchers: subset.map((tag) => ({ ...tag })),
    origin: origin.map(renderIdentity),
  };
}

function destinationRule({ resource, section, confs, origin }: DestinationRule): JsonObject {
  return {
    resourceMeta: renderIdentity(resource),
    resourceSectionName: section,
    conf: confs,
    origin: origin.map(itemOrigin),
  };
}

function inboundRule({ conf, origin }: InboundRules["rules"][number]): JsonObject {
  return { conf: [conf], origin: [itemOrigin(origin)] };
}

function itemOrigin({ policy, index }: ItemOrigin): JsonObject {
  return { resourceMeta: renderIdentity(policy), ruleIndex: index };
}

function inbound({ name, port, tags }: InboundRules): JsonObject {
  return { ...(name && { name }), port, tags };
}

function attachments(call: Call): ApiAnswer {
  const found = find(call, "Dataplane", {
    mesh: "Could not build MeshContext",
    item: "Could not get MatchedPolicies",
  });
  if (isAnswer(found)) return found;
  const items = call.view.inspection.ruleAttachments(found).map(attachment);
  return json({ total: items.length, items });
}

/** What is empty is absent. */
function attachment(
  { type, name, addresses, service, tags, policyType, rule }: RuleAttachment,
): JsonObject {
  return {
    type,
    ...(name && { name }),
    ...(addresses.length > 0 && { addresses }),
    ...(service && { service }),
    ...(Object.keys(tags).length > 0 && { tags }),
    policyType,
    subset: Object.fromEntries(
      rule.subset.map(({ key, value, not }) => [key, not ? `!${value}` : value]),
    ),
    conf: rule.conf,
    origins: rule.origin.map(({ mesh, name }) => ({ mesh, name })),
  };
}
