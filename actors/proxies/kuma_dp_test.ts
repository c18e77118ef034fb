// What kuma-dp 2.13.10 asked our dp-server, recorded there, and what becomes of it: its bootstrap,
// its registration, its configuration. The root and the working folder are left out.

import assert from "node:assert/strict";
import { parse } from "yaml";
import { everyKind } from "../../cli/kinds.ts";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { JsonObject } from "../../core/resource.ts";
import { handleBootstrap } from "../../dataplane/mod.ts";
import recorded from "../../dataplane/testdata/kuma_dp_requests.json" with { type: "json" };
import * as example from "../../xds/example_mesh.ts";
import { generateDataplane, generateIngress } from "../../xds/generate.ts";
import { parseNode } from "../../xds/node.ts";
import { type Snapshot, TYPES } from "../../xds/snapshot.ts";
import { buildMeshView } from "../../xds/topology.ts";
import { readRegistration } from "./registration.ts";

const kinds = everyKind();
const vips = new Map([["web", "240.0.0.1"]]);

interface Node {
  readonly id: string;
  readonly metadata: JsonObject;
}

function bootstrap(request: object): { readonly status: number; readonly node: Node } {
  const { status, body } = handleBootstrap(request, {
    host: "127.0.0.1",
    port: 5678,
    caCert: "root",
    covers: () => true,
    faultOfRoot: () => null,
    reloadableTokens: false,
    reportsHealth: true,
    accept: "application/json",
    mesh: () => ({}),
    validate: (type, spec) => kinds.byName(type)!.validate(spec),
  });
  if (status !== 200) return { status, node: { id: "", metadata: {} } };
  return { status, node: parse(atob(JSON.parse(body).bootstrap)).node };
}

/** As the door and the generators see it. */
function listenersFor(request: object): readonly string[] {
  const { node } = bootstrap(request);
  const registration = readRegistration({ ...node }, { kinds, zone: "east" });
  assert.ok(registration.ok && registration.resource, JSON.stringify(registration));
  const { name, spec } = registration.resource;
  const parsed = parseNode(registration.metadata);
  if (registration.key.type === "ingress") {
    const ingress = example.resource("ZoneIngress", name, spec) as never;
    return namesIn(generateIngress(ingress, new Map(), { node: parsed }).snapshot);
  }
  const { networking } = spec as unknown as DataplaneSpec;
  const dataplanes = [example.dataplane(name, networking)];
  const view = buildMeshView(example.input({ mesh: example.mesh({}), dataplanes, vips }));
  return namesIn(generateDataplane(view, name, { node: parsed, identity: null }).snapshot);
}

function namesIn({ resources }: Snapshot): readonly string[] {
  return [...resources.get(TYPES.listener)?.keys() ?? []].sort();
}

Deno.test("kuma-dp with explicit outbounds is what its resource says", () => {
  const { node } = bootstrap(recorded.sidecar);
  assert.equal(node.id, "default.web-1");
  assert.deepEqual(node.metadata["features"], recorded.sidecar.features);
  assert.deepEqual(listenersFor(recorded.sidecar), [
    "inbound:127.77.0.1:18080",
    "kuma:envoy:admin",
    "outbound:127.0.0.1:13001",
  ]);
});

Deno.test("kuma-dp with redirection and a DNS server of its own gets both", () => {
  assert.deepEqual(listenersFor(recorded.redirected), [
    "_kuma:dynamicconfig",
    "inbound:127.77.0.3:18080",
    "inbound:passthrough:ipv4",
    "inbound:passthrough:ipv6",
    "kuma:envoy:admin",
    "outbound:240.0.0.1:80",
    "outbound:passthrough:ipv4",
    "outbound:passthrough:ipv6",
  ]);
});

Deno.test("kuma-dp as an ingress is one", () => {
  assert.equal(bootstrap(recorded.ingress).node.id, ".ing-1");
  assert.deepEqual(listenersFor(recorded.ingress), [
    "inbound:127.77.0.9:10001",
    "kuma:envoy:admin",
  ]);
});

Deno.test("kuma-dp that names a Dataplane waits until there is one", () => {
  assert.equal(bootstrap(recorded.named).status, 404);
});
