// What happens to a zone in a run: proxies come and go, people edit, other zones report, parts fail.

import type { Draft, JsonObject } from "../../core/resource.ts";
import type { FakeEnvoy } from "./fake_envoy.ts";
import { ZONE, type ZoneWorld } from "./zone_world.ts";

export const MESHES = ["default", "other"];
const SERVICES = ["web", "backend", "billing"];
const NAMES = ["a-1", "a-2", "a-3", "a-4"];

export interface Drawing {
  readonly world: ZoneWorld;
  /** One of them. */
  pick<T>(items: readonly T[]): T;
  /** True this often. */
  chance(probability: number): boolean;
}

export function drawingFor(world: ZoneWorld): Drawing {
  return {
    world,
    pick: (items) => items[Math.floor(world.random() * items.length)]!,
    chance: (probability) => world.random() < probability,
  };
}

export function mesh(name: string, spec: JsonObject = {}): Draft {
  return { type: "Mesh", mesh: "", name, labels: {}, spec };
}

export function mtls(enabledBackend: string, ...backends: readonly string[]): JsonObject {
  return {
    mtls: { enabledBackend, backends: backends.map((name) => ({ name, type: "builtin" })) },
  };
}

/** A Dataplane as a proxy sends it. */
export function sidecar(
  at: { readonly mesh?: string; readonly name: string },
  { address = "10.0.0.1", port = 8080, service = at.name, tags = {}, outbound = [] }: {
    readonly address?: string;
    readonly port?: number;
    readonly service?: string;
    readonly tags?: Readonly<Record<string, string>>;
    readonly outbound?: readonly JsonObject[];
  } = {},
): JsonObject {
  return {
    type: "Dataplane",
    mesh: at.mesh ?? "default",
    name: at.name,
    networking: {
      address,
      inbound: [{ port, tags: { "kuma.io/service": service, ...tags } }],
      ...(outbound.length > 0 && { outbound }),
    },
  };
}

export function ingressResource(name: string, address = "10.0.0.100"): JsonObject {
  const networking = { address, port: 10001, advertisedAddress: address, advertisedPort: 10001 };
  return { type: "ZoneIngress", name, networking };
}

/** The same as somebody writes it through the API. */
export function draftOf(resource: JsonObject): Draft {
  const { type, mesh = "", name, ...spec } = resource;
  return { type: String(type), mesh: String(mesh), name: String(name), labels: {}, spec };
}

export function permission(mesh: string, name: string, from = "*", to = "*"): Draft {
  const match = (service: string) => [{ match: { "kuma.io/service": service } }];
  const spec = { sources: match(from), destinations: match(to) };
  return { type: "TrafficPermission", mesh, name, labels: {}, spec };
}

export function route(mesh: string, name: string, service: string, conf: JsonObject): Draft {
  const match = (service: string) => [{ match: { "kuma.io/service": service } }];
  const spec = { sources: match("*"), destinations: match(service), conf };
  return { type: "TrafficRoute", mesh, name, labels: {}, spec };
}

function randomSidecar(draw: Drawing, mesh: string, name: string): JsonObject {
  const { pick, chance } = draw;
  const tags = {
    ...(chance(0.5) && { "kuma.io/protocol": pick(["http", "tcp", "grpc"]) }),
    ...(chance(0.4) && { version: pick(["v1", "v2"]) }),
  };
  const address = `10.0.${MESHES.indexOf(mesh)}.${NAMES.indexOf(name) + 1}`;
  const outbound = SERVICES.filter(() => chance(0.4)).map((service, i) => ({
    port: 20_000 + i,
    tags: { "kuma.io/service": service, ...(chance(0.2) && { version: "v1" }) },
  }));
  const resource = sidecar({ mesh, name }, {
    address,
    port: pick([8080, 8081]),
    service: pick(SERVICES),
    tags,
    outbound,
  });
  if (!chance(0.2)) return resource;
  const gateway = { tags: { "kuma.io/service": `${name}-gateway` } };
  return { ...resource, networking: { address, gateway, ...(outbound[0] && { outbound }) } };
}

function proxyOf(draw: Drawing, mesh: string, name: string): FakeEnvoy {
  const { world, pick, chance } = draw;
  const known = world.envoys.find(({ options: { key } }) => key.mesh === mesh && key.name === name);
  if (known) return known;
  return world.envoy({
    key: { type: "dataplane", mesh, name },
    dialect: pick(["sotw", "delta"]),
    instance: chance(0.5) ? `run-of-${name}` : "",
    resource: null,
    metadata: chance(0.5) ? { features: ["feature-bind-outbounds"] } : {},
  });
}

/** A proxy starts, or starts again with another resource, whether its old stream lives or not. */
function proxyStarts(draw: Drawing): void {
  const { pick, chance } = draw;
  const [mesh, name] = [pick(MESHES), pick(NAMES)];
  const envoy = proxyOf(draw, mesh, name);
  if (!envoy.resource || chance(0.5)) envoy.resource = randomSidecar(draw, mesh, name);
  if (envoy.stream && chance(0.5)) envoy.disconnect();
  envoy.connect();
}

function proxyStops({ world, pick, chance }: Drawing): void {
  const online = world.envoys.filter(({ stream }) => stream);
  if (online.length === 0) return;
  const envoy = pick(online);
  const { key, instance = "" } = envoy.options;
  if (chance(0.3)) world.leave(key, "drain", { instance });
  if (chance(0.3)) world.leave(key, "deregister", { instance });
  if (chance(0.8)) envoy.disconnect();
}

/** An operator writes the Dataplane of a proxy that does not send one. */
function dataplaneWritten(draw: Drawing): void {
  const { world, pick, chance } = draw;
  const mesh = pick(MESHES);
  const name = pick(["stored-1", "stored-2"]);
  const key = { type: "Dataplane", mesh, name };
  if (chance(0.3)) {
    const envoy = proxyOf(draw, mesh, name);
    if (envoy.stream) envoy.disconnect();
    world.delete(key);
    return;
  }
  if (!world.store.get({ type: "Mesh", mesh: "", name: mesh })) return;
  world.put(draftOf(randomSidecar(draw, mesh, name)));
  if (chance(0.6)) proxyOf(draw, mesh, name).connect();
}

function policyEdited({ world, pick, chance }: Drawing): void {
  const mesh = pick(MESHES);
  const name = pick(["one", "two"]);
  const service = pick([...SERVICES, "*"]);
  if (chance(0.3)) {
    world.delete({ type: pick(["TrafficPermission", "TrafficRoute"]), mesh, name });
  } else if (chance(0.5)) {
    world.put(permission(mesh, name, pick([...SERVICES, "*"]), service));
  } else {
    const to = pick(SERVICES);
    const split = [
      { weight: pick([0, 20, 80]), destination: { "kuma.io/service": to, version: "v1" } },
      { weight: 20, destination: { "kuma.io/service": to, "kuma.io/zone": pick([ZONE, "west"]) } },
    ];
    world.put(route(mesh, name, service, { split }));
  }
}

function meshEdited({ world, pick, chance }: Drawing): void {
  const name = pick(MESHES);
  if (chance(0.15)) {
    const contents = [
      "Dataplane",
      "DataplaneInsight",
      "TrafficPermission",
      "TrafficRoute",
      "Secret",
    ]
      .flatMap((type) => world.store.list(type, name));
    world.delete({ type: "Mesh", mesh: "", name }, ...contents);
    if (chance(0.5)) world.put(mesh(name));
    return;
  }
  const spec = pick([{}, mtls("ca-1", "ca-1"), mtls("ca-2", "ca-1", "ca-2"), mtls("ca-2", "ca-2")]);
  const routing = chance(0.3) ? { routing: { localityAwareLoadBalancing: true } } : {};
  world.put(mesh(name, { ...spec, ...routing }));
}

function ingressesChange(draw: Drawing): void {
  const { world, pick, chance } = draw;
  if (chance(0.4)) {
    const key = { type: "ingress", mesh: "", name: pick(["gate-1", "gate-2"]) } as const;
    const known = world.envoys.find(({ options }) => options.key.name === key.name);
    const envoy = known ?? world.envoy({
      key,
      dialect: pick(["sotw", "delta"]),
      resource: ingressResource(key.name, key.name === "gate-1" ? "10.0.9.1" : "10.0.9.2"),
    });
    if (envoy.stream && chance(0.5)) envoy.disconnect();
    else envoy.connect();
    return;
  }
  const name = pick(["west-1", "west-2"]);
  if (chance(0.2)) {
    world.delete({ type: "ZoneIngress", mesh: "", name });
    return;
  }
  const { networking } = ingressResource(name, `192.0.2.${pick([1, 2])}`) as never;
  const availableServices = MESHES.flatMap((mesh) =>
    SERVICES.filter(() => chance(0.4)).map((service) => ({
      tags: { "kuma.io/service": service, "kuma.io/zone": "west", version: pick(["v1", "v2"]) },
      instances: pick([1, 2, 3]),
      mesh,
    }))
  );
  const spec = { zone: "west", networking, availableServices } as unknown as JsonObject;
  world.put({ type: "ZoneIngress", mesh: "", name, labels: {}, spec });
}

/** A turn throws: the message makes no sense to anybody. DNS hears only what it may merge. */
function partCrashes({ world, pick }: Drawing): void {
  const paths = world.kernel.actors().map(({ path }) => path).filter((path) => path !== "dns");
  world.kernel.send(pick(paths), { tag: "nonsense" });
}

/** One thing of those that happen; rare ones rarely. */
export function somethingHappens(draw: Drawing, { faults }: { readonly faults: boolean }): void {
  const kinds = [
    ...Array(6).fill(proxyStarts),
    ...Array(3).fill(proxyStops),
    ...Array(2).fill(dataplaneWritten),
    ...Array(4).fill(policyEdited),
    ...Array(2).fill(meshEdited),
    ...Array(3).fill(ingressesChange),
  ];
  if (faults && draw.chance(0.05)) partCrashes(draw);
  if (faults && draw.chance(0.05)) draw.world.failingCommits++;
  if (faults && draw.chance(0.05)) draw.world.doubtfulCommits++;
  draw.pick(kinds)(draw);
}
