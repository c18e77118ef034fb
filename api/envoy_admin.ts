// What a proxy's own Envoy says: asked here in its zone, through KDS at global.

import type { AdminFormat, EnvoyAnswer, EnvoyQuestion } from "../core/envoy_admin.ts";
import type { ResourceKey } from "../core/resource.ts";
import { type Action, refuse } from "./access.ts";
import { answer, type ApiAnswer, type ApiRequest, text } from "./exchange.ts";
import { notFound, problem } from "./problem.ts";
import { readBool } from "./query.ts";
import type { Call, Route } from "./route.ts";

const KINDS: readonly EnvoyQuestion["kind"][] = ["xds", "stats", "clusters"];

/** kuma@v2.13.10:pkg/api-server/inspect_envoy_admin_endpoints.go */
const PROXIES = [
  { type: "Dataplane", path: "/meshes/{mesh}/dataplanes/{name}", title: "dataplane" },
  { type: "ZoneIngress", path: "/zoneingresses/{name}", title: "zone ingress" },
  { type: "ZoneEgress", path: "/zoneegresses/{name}", title: "zone egress" },
] as const;

const ACCESS: Readonly<
  Record<EnvoyQuestion["kind"], { readonly action: Action; readonly what: string }>
> = {
  xds: { action: "viewConfigDump", what: "view the configuration of an Envoy" },
  stats: { action: "viewStats", what: "view the statistics of an Envoy" },
  clusters: { action: "viewClusters", what: "view the clusters of an Envoy" },
};

export const ENVOY_ADMIN_ROUTES: readonly Route[] = PROXIES.flatMap(({ type, path, title }) =>
  KINDS.map((kind): Route => ({
    method: "GET",
    path: `${path}/${kind}`,
    handler: (call: Call) => {
      const { request, view, params } = call;
      const { action, what } = ACCESS[kind];
      const denied = refuse(action, what, call);
      if (denied) return answer(denied);
      const proxy: ResourceKey = { type, mesh: params.mesh ?? "", name: params.name ?? "" };
      const missing = notFound(`Could not get ${title} resource`);
      if (!view.resources.get(proxy)) return answer(missing);
      const question = questionOf(kind, request);
      return {
        do: "ask_envoy",
        proxy,
        question,
        then: (said) => !said.ok && said.reason === "unknown" ? missing : told(question, said),
      };
    },
  }))
);

function questionOf(kind: EnvoyQuestion["kind"], { query }: ApiRequest): EnvoyQuestion {
  const format: AdminFormat = query.get("format") === "json" ? "json" : "text";
  switch (kind) {
    case "xds":
      return { kind, includeEds: readBool(query.get("include_eds")) ?? false };
    case "stats":
      return { kind, format, usedOnly: readBool(query.get("usedonly")) ?? true };
    case "clusters":
      return { kind, format };
  }
}

function told(question: EnvoyQuestion, said: EnvoyAnswer): ApiAnswer {
  if (!said.ok) {
    return problem({
      status: 400,
      title: "Could not execute admin operation",
      detail: said.detail,
    });
  }
  const isJson = question.kind === "xds" || question.format === "json";
  return text(
    new TextDecoder().decode(said.body),
    200,
    isJson ? "application/json" : "text/plain",
  );
}
