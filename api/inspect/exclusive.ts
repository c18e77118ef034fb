// What policies come to for a proxy, its inbounds, its outbounds and their routes, in meshes whose services are resources. kuma@v2.13.10:pkg/api-server/resource_endpoints.go (getPoliciesConf).

import type { DestinationRule, ItemOrigin, TypeRules } from "../../core/inspection.ts";
import { objectOf, wordOf } from "../../core/json.ts";
import type { Json, JsonObject, Resource } from "../../core/resource.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { type Kri, parseKri } from "../kri.ts";
import type { ApiView } from "../ports.ts";
import { badRequest, notFound } from "../problem.ts";
import { kriOf } from "../render.ts";
import { type Call, get, type Route } from "../route.ts";
import { find, isAnswer, isExclusive } from "./lookup.ts";

const PROXY = "/meshes/{mesh}/dataplanes/{name}";

export const EXCLUSIVE_ROUTES: readonly Route[] = [
  get(`${PROXY}/_policies`, (call) => about(call, ({ rules, view }) => single(rules, view))),
  get(`${PROXY}/_inbounds/{inbound}/_policies`, (call) => about(call, inboundPolicies)),
  get(`${PROXY}/_outbounds/{outbound}/_policies`, (call) => about(call, outboundPolicies)),
  get(`${PROXY}/_outbounds/{outbound}/_routes`, (call) => about(call, outboundRoutes)),
  get(
    `${PROXY}/_outbounds/{outbound}/_routes/{route}/_policies`,
    (call) => about(call, routePolicies),
  ),
];

interface Question {
  readonly dataplane: Resource;
  readonly rules: readonly TypeRules[];
  readonly view: ApiView;
  readonly params: Call["params"];
}

function about(call: Call, answer: (question: Question) => ApiAnswer): ApiAnswer {
  const dataplane = find(call, "Dataplane", {
    mesh: "Failed to retrieve Mesh",
    item: "Could not retrieve Dataplane",
  });
  if (isAnswer(dataplane)) return dataplane;
  const { view, params } = call;
  if (!isExclusive(dataplane.mesh, view)) return notExclusive("_policies");
  return answer({ dataplane, rules: view.inspection.rules(dataplane), view, params });
}

export function notExclusive(what: string): ApiAnswer {
  return badRequest(
    `can't use ${what} endpoint without meshService enabled: meshServices.mode of the mesh must ` +
      "be Exclusive",
  );
}

function single(rules: readonly TypeRules[], view: ApiView): ApiAnswer {
  const policies = rules.flatMap(({ type, single }) =>
    single ? [{ kind: type, conf: single.conf, origins: origins(single.origin, view) }] : []
  );
  return json({ policies });
}

function inboundPolicies({ dataplane, rules, view, params }: Question): ApiAnswer {
  const kri = parseKri(params["inbound"] ?? "", view.kinds);
  if ("status" in kri) return kri;
  const { inbound = [] } = objectOf(dataplane.spec["networking"]);
  const ports = (inbound as readonly JsonObject[])
    .filter(({ name, port = "" }) => wordOf(name || port) === kri.section)
    .map(({ port }) => port);
  if (ports.length === 0) return notFound("Failed building response");
  const policies = rules.flatMap(({ type, inbounds }) => {
    const here = inbounds.find(({ port }) => port === ports[0])?.rules ?? [];
    if (here.length === 0) return [];
    return [{
      kind: type,
      rules: here.map(({ conf, origin }) => ({ kri: kriText(origin.policy, view), conf })),
      origins: origins(here.map(({ origin }) => origin.policy), view),
    }];
  });
  return json({ policies });
}

function outboundPolicies({ rules, view, params }: Question): ApiAnswer {
  const kri = parseKri(params["outbound"] ?? "", view.kinds);
  return "status" in kri ? kri : json({ policies: policiesFor([kri], rules, view) });
}

function routePolicies({ rules, view, params }: Question): ApiAnswer {
  const outbound = parseKri(params["outbound"] ?? "", view.kinds);
  if ("status" in outbound) return outbound;
  const route = parseKri(params["route"] ?? "", view.kinds);
  if ("status" in route) return route;
  const others = rules.filter(({ type }) => !ROUTES.includes(type));
  return json({ policies: policiesFor([outbound, route], others, view) });
}

const ROUTES = ["MeshHTTPRoute", "MeshTCPRoute"];

/** What is said closest to the thing itself is all that holds: it has what is said further away. */
function policiesFor(
  path: readonly Kri[],
  rules: readonly TypeRules[],
  view: ApiView,
): readonly JsonObject[] {
  return rules.flatMap(({ type, destinations }) => {
    const rule = closest(path, destinations, view);
    return rule ? [{ kind: type, conf: rule.confs, origins: itemOrigins(rule, view) }] : [];
  });
}

function closest(
  path: readonly Kri[],
  destinations: readonly DestinationRule[],
  view: ApiView,
): DestinationRule | undefined {
  const about = ({ resource }: Kri, section: string) =>
    destinations.find((one) => kriText(one.resource, view) === resource && one.section === section);
  return path.flatMap((kri) => [about(kri, ""), about(kri, kri.section)])
    .reduce(
      (found, rule) => rule ?? found,
      destinations.find(({ resource }) => resource.type === "Mesh"),
    );
}

function outboundRoutes({ rules, view, params }: Question): ApiAnswer {
  const kri = parseKri(params["outbound"] ?? "", view.kinds);
  if ("status" in kri) return kri;
  const routes = rules.filter(({ type }) => ROUTES.includes(type)).flatMap((types) => {
    const rule = closest([kri], types.destinations, view);
    if (!rule) return [];
    const rules = types.type === "MeshTCPRoute" ? tcpRules(rule) : httpRules(rule, view);
    return [{ kind: types.type, rules, origins: itemOrigins(rule, view) }];
  });
  return json({ routes });
}

function httpRules({ confs, origin }: DestinationRule, view: ApiView): readonly JsonObject[] {
  const { matchesHash } = view.inspection;
  return confs.flatMap((conf) => rulesIn(conf)).map(({ matches = [], default: conf = {} }) => {
    const hash = matchesHash(matches);
    const { policy } = origin.findLast((one) =>
      rulesIn(itemOf(one)).some((rule) =>
        matchesHash(rule["matches"] ?? []) === hash
      )
    ) ?? {};
    return { kri: policy ? kriText(policy, view) : "", matches, conf };
  });
}

function tcpRules({ confs }: DestinationRule): readonly JsonObject[] {
  return confs.map(({ default: conf = {} }) => ({ kri: "", matches: null, conf }));
}

function itemOf({ policy, index }: ItemOrigin): JsonObject {
  return ((policy.spec["to"] ?? []) as readonly JsonObject[])[index] ?? {};
}

function rulesIn(conf: JsonObject): readonly JsonObject[] {
  return (conf["rules"] ?? []) as readonly JsonObject[];
}

function itemOrigins({ origin }: DestinationRule, view: ApiView): Json {
  return origins(origin.map(({ policy }) => policy), view);
}

function origins(policies: readonly Resource[], view: ApiView): Json {
  return policies.map((policy) => ({ kri: kriText(policy, view) }));
}

export function kriText(resource: Resource, { kinds }: ApiView): string {
  const kind = kinds.byName(resource.type);
  return kind ? kriOf(resource, kind) ?? "" : "";
}
