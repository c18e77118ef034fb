// The older inspection: policies by the parts of a proxy, and proxies of a policy. kuma@v2.13.10:pkg/api-server/inspect_endpoints.go.

import type { Attachment } from "../../core/inspection.ts";
import { objectOf } from "../../core/json.ts";
import type { JsonObject, Resource } from "../../core/resource.ts";
import { type ApiAnswer, json } from "../exchange.ts";
import { notFound, PAGE_NOT_FOUND } from "../problem.ts";
import { renderReference } from "../render.ts";
import { type Call, get, type Route } from "../route.ts";
import { find, isAnswer, policyKind } from "./lookup.ts";

export const ATTACHMENT_ROUTES: readonly Route[] = [
  get("/meshes/{mesh}/dataplanes/{name}/policies", policiesOf),
  get("/meshes/{mesh}/{plural}/{name}/dataplanes", dataplanesOf),
];

const TITLES = { mesh: "Could not build MeshContext", item: "Could not get MatchedPolicies" };

function policiesOf(call: Call): ApiAnswer {
  const dataplane = find(call, "Dataplane", TITLES);
  if (isAnswer(dataplane)) return dataplane;
  const { inspection } = call.view;
  const attachments = inspection.attachments(dataplane);
  const gateway = gatewayEntry(dataplane, call);
  if (gateway) {
    const policies = Object.fromEntries(
      wholeGateway(attachments).map((policy) => [policy.type, reference(policy, call)]),
    );
    return json({
      kind: "MeshGatewayDataplane",
      ...gateway,
      ...(Object.keys(policies).length > 0 && { policies }),
    });
  }
  const items = attachments.map((attachment) => ({
    ...partOf(attachment),
    matchedPolicies: byType(attachment.policies, call),
  }));
  return json({ kind: "SidecarDataplane", total: items.length, items });
}

function dataplanesOf(call: Call): ApiAnswer {
  const kind = policyKind(call);
  if (!kind || kind.policy?.uninspectable) return PAGE_NOT_FOUND;
  const { view: { resources, inspection }, params: { mesh = "", name = "" } } = call;
  if (!resources.get({ type: "Mesh", mesh: "", name: mesh })) {
    return notFound("Could not list Dataplanes");
  }
  // Kuma has no word for a policy that is not there.
  const policy = resources.get({ type: kind.name, mesh, name });
  const dataplanes = resources.list("Dataplane", mesh)
    .filter((dataplane) => policy && inspection.concerns(policy, dataplane));
  const items = dataplanes.flatMap((dataplane) => {
    const here = inspection.attachments(dataplane, kind.name)
      .filter(({ policies }) => policies.some((policy) => policy.name === name));
    return entryOf(dataplane, here, call) ?? [];
  });
  return json({ total: items.length, items });
}

function entryOf(
  dataplane: Resource,
  attachments: readonly Attachment[],
  call: Call,
): JsonObject | undefined {
  const { mesh, name } = dataplane;
  const gateway = gatewayEntry(dataplane, call);
  if (gateway) {
    return wholeGateway(attachments).length === 0 ? undefined : {
      kind: "MeshGatewayDataplane",
      dataplane: { mesh, name },
      gateway: gateway["gateway"] ?? {},
    };
  }
  return attachments.length === 0 ? undefined : {
    kind: "SidecarDataplane",
    dataplane: { mesh, name },
    attachments: attachments.map(partOf),
  };
}

/** Of a builtin gateway's proxy: what it listens on. Where that leads is not known without routes. */
function gatewayEntry(dataplane: Resource, { view }: Call): JsonObject | undefined {
  const own = objectOf(objectOf(dataplane.spec["networking"])["gateway"]);
  if (own["type"] !== "BUILTIN") return undefined;
  const gateway = view.inspection.gatewayOf(dataplane);
  const listeners = objectOf(gateway?.spec["conf"])["listeners"] ?? [];
  return {
    gateway: { mesh: gateway?.mesh ?? "", name: gateway?.name ?? "" },
    listeners: (listeners as readonly JsonObject[]).map(({ port = 0, protocol = "NONE" }) => ({
      port,
      protocol,
      hosts: [],
    })),
  };
}

/** What concerns all of a builtin gateway: its logs and traces. */
function wholeGateway(attachments: readonly Attachment[]): readonly Resource[] {
  const whole = attachments.filter(({ type, name }) =>
    type === "dataplane" || (type === "service" && name === "pass_through")
  );
  return whole.flatMap(({ policies }) => policies)
    .filter(({ type }) => type === "TrafficLog" || type === "TrafficTrace");
}

/** What is empty is absent. */
function partOf({ type, name, service }: Attachment): JsonObject {
  return { type, ...(name && { name }), ...(service && { service }) };
}

function byType(policies: readonly Resource[], call: Call): JsonObject {
  const types = [...new Set(policies.map(({ type }) => type))];
  return Object.fromEntries(
    types.map((type) => [
      type,
      policies.filter((policy) => policy.type === type).map((policy) => reference(policy, call)),
    ]),
  );
}

function reference(policy: Resource, { view }: Call): JsonObject {
  const kind = view.kinds.byName(policy.type);
  return kind ? renderReference(policy, kind) : {};
}
