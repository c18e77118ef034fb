// What can happen in a simulated world, one verb each: what users and proxies do, and what breaks.

import { inboundsOf } from "../actors/dataplane/announcement.ts";
import { type LeaveResult, PROXIES, type ProxiesMsg } from "../actors/proxies/messages.ts";
import { isReady } from "../core/dataplane.ts";
import { proxyText } from "../core/proxy.ts";
import { type Draft, type JsonObject, keyText, type ResourceKey } from "../core/resource.ts";
import { GLOBAL_CONFIG, readAllegiance } from "../kds/allegiance.ts";
import { MESSAGE_BYTES_MAX } from "../kds/wire.ts";
import { encode } from "../proto/mod.ts";
import type { Op } from "../store/store.ts";
import type { Dialect } from "../xds/stream.ts";
import { addressOf, MESHES } from "./checks/seen.ts";
import { offeredTo } from "./checks/sync.ts";
import type { ControlPlane } from "./control_plane.ts";
import type { Disk } from "./disk.ts";
import type { Envoy } from "./envoy.ts";
import { ask, sayNonsense } from "./dns_edge.ts";
import { expect, mark } from "./expect.ts";
import { inquire } from "./inquiries.ts";
import type { End } from "./network.ts";
import { bulk, corrupt, garble, refuse, takeForKuma, writeSecret } from "./poison.ts";
import {
  draftOf,
  ingressResource,
  mesh,
  mtls,
  permission,
  route,
  sidecar,
  timeout,
} from "../tests/system/zone_edits.ts";
import { rest } from "./rest.ts";
import { FLAWS } from "./tokens.ts";
import { REVOKED, rotate, token } from "./token_steps.ts";
import { TWIN, type World } from "./world.ts";

/** One thing that happens. In a scenario file: `{at: 5s, VERB: OF, …with}`. */
export interface Step {
  readonly atMs: number;
  readonly verb: Verb;
  readonly of: string;
  readonly with: With;
}

/** Durations are in milliseconds here, and `5s` in files. */
export type With = Readonly<Record<string, string | number | boolean | readonly string[]>>;

interface Act {
  readonly kind: "work" | "fault" | "check";
  /** For the list of verbs. */
  readonly says: string;
  run(world: World, step: Step): void;
}

const FOREVER_MS = 1e9;
/** At once. */
const QUESTIONS = 8;

export const VERBS = {
  proxy: {
    kind: "work",
    says: "a proxy starts, or starts again, with what follows",
    run: startProxy,
  },
  stop: {
    kind: "work",
    says: "a proxy ends: how is close, kill, vanish, drain or deregister",
    run: stopProxy,
  },
  reconnect: {
    kind: "work",
    says: "a proxy's stream ends and comes back; silently: the control plane does not notice",
    run: (world, { of, with: { silently = false } }) => {
      const envoy = world.envoys.get(of);
      if (!envoy?.running) return;
      if (silently) envoy.end?.vanish();
      envoy.reconnect();
    },
  },
  health: {
    kind: "work",
    says: "the workload of a proxy that is probed does not answer for a while",
    run: (world, { of, with: { for: forMs = 5_000 } }) => {
      const probing = world.envoys.get(of)?.probing;
      if (!probing) return;
      probing.workload = false;
      probing.report();
      world.agenda.after(Number(forMs), () => {
        probing.workload = true;
        probing.report();
      });
    },
  },
  ingress: {
    kind: "work",
    says: "an ingress of a zone starts, or starts again",
    run: startIngress,
  },
  twin: {
    kind: "fault",
    says: "a second process with the name of a proxy runs for a while",
    run: startTwin,
  },
  scale: {
    kind: "work",
    says: "a service has so many instances from now on",
    run: scale,
  },
  byhand: {
    kind: "work",
    says: "an operator writes the Dataplane of a proxy that does not send one; gone: deletes it",
    run: writtenByHand,
  },
  policy: {
    kind: "work",
    says:
      "a policy is written (in: a zone); kind is permission, route, timeout or producer; gone: deleted",
    run: writePolicy,
  },
  policies: {
    kind: "work",
    says:
      "so many edits of policies of a mesh, one after the other, named NAMED-n, with so many bytes",
    run: editPolicies,
  },
  dataplanes: {
    kind: "work",
    says: "so many edits of Dataplanes of a zone and mesh, by hand: each is made, changed, deleted",
    run: editDataplanes,
  },
  mesh: {
    kind: "work",
    says: "a mesh is written: mtls names its backends, the first signs; gone: it is deleted",
    run: writeMesh,
  },
  zone: {
    kind: "work",
    says: "a Zone is set to enabled, disabled or deleted",
    run: writeZone,
  },
  token: {
    kind: "work",
    says: `a proxy or a zone gets another token, or its own is revoked; how: ${
      [...FLAWS, REVOKED].join(", ")
    }`,
    run: token,
  },
  rotate: {
    kind: "work",
    says: "a new key signs tokens of a mesh, or of zones; retire: after that the older ones go; " +
      "renew: all have new tokens before",
    run: rotate,
  },
  inquire: {
    kind: "work",
    says: "an operator asks global what a proxy's Envoy runs, counts and knows of clusters",
    run: inquire,
  },
  rest: {
    kind: "work",
    says: "an operator writes MESH/NAME, or a mesh, through the API; how: put, delete, edit " +
      "(two read it at once, and each writes it if it is as it was), nonsense",
    run: rest,
  },
  resolve: {
    kind: "work",
    says: "somebody asks the DNS of a zone for a service; how: well, or nonsense",
    run: resolve,
  },
  kill: {
    kind: "fault",
    says:
      "a process is killed (power: with its machine) or asked to stop; for: it is back after that",
    run: (world, { of, with: { power = false, asked = false, for: forMs = FOREVER_MS } }) => {
      const plane = world.plane(of);
      if (asked) plane.stop();
      else plane.kill(Boolean(power));
      world.agenda.after(Number(forMs), () => world.start(plane));
    },
  },
  namesake: {
    kind: "fault",
    says: "a second control plane starts with the name of a zone and an empty store; for: it ends",
    run: (world, { of, with: { for: forMs = FOREVER_MS } }) => {
      const plane = world.namesake(of);
      world.agenda.after(Number(forMs), () => plane.kill(false));
    },
  },
  start: {
    kind: "fault",
    says:
      "a process starts; store: empty, or old (as when it was remembered); keys: new for zone tokens",
    run: startProcess,
  },
  remember: {
    kind: "fault",
    says: "a copy of a process's store is put aside",
    run: (world, { of }) => {
      world.copies.set(of, world.plane(of).disk.copy());
    },
  },
  pause: {
    kind: "fault",
    says: "a process stands still, and so do its clock's timers",
    run: (world, { of, with: { for: forMs = 1_000 } }) => {
      const plane = world.plane(of);
      if (!plane.kernel) return;
      plane.pause();
      world.agenda.after(Number(forMs), () => plane.resume());
    },
  },
  clock: {
    kind: "fault",
    says: "a clock jumps by so much, or goes at another rate",
    run: (world, { of, with: { by = 0, rate } }) => {
      const plane = world.plane(of);
      const { nowMs } = world;
      const { offsetMs, sinceMs, rate: before } = plane.clock;
      const passedMs = sinceMs + (nowMs - sinceMs) * before + offsetMs - nowMs;
      plane.clock = {
        offsetMs: passedMs + Number(by),
        rate: Number(rate ?? before),
        sinceMs: nowMs,
      };
    },
  },
  cut: {
    kind: "fault",
    says: "nothing passes between `a - b`, or from `a > b` only; for: it is mended after that",
    run: (world, { of, with: { for: forMs = FOREVER_MS } }) =>
      each(of, (from, to) => {
        world.network.set(from, to, false);
        world.agenda.after(Number(forMs), () => world.network.set(from, to, true));
      }),
  },
  mend: {
    kind: "fault",
    says: "what was cut between `a - b` passes again",
    run: (world, { of }) => each(of, (from, to) => world.network.set(from, to, true)),
  },
  lossy: {
    kind: "fault",
    says: "a share of what passes has to be sent again",
    run: (world, { of, with: { share = 0.2, for: forMs = FOREVER_MS } }) =>
      each(of, (from, to) => {
        const link = world.network.link(from, to);
        link.loss = Number(share);
        world.agenda.after(Number(forMs), () => {
          link.loss = 0;
        });
      }),
  },
  slow: {
    kind: "fault",
    says: "what passes between `a - b` takes so long; kbits: no more than that in a second",
    run: (world, { of, with: { delay = 1_000, kbits = Infinity, for: forMs = FOREVER_MS } }) =>
      each(of, (from, to) => {
        const link = world.network.link(from, to);
        const { delayMs } = link;
        Object.assign(link, { delayMs: Number(delay), kbits: Number(kbits) });
        world.agenda.after(Number(forMs), () => {
          Object.assign(link, { delayMs, kbits: Infinity });
        });
      }),
  },
  reset: {
    kind: "fault",
    says: "connections of `a - b` are reset",
    run: (world, { of }) =>
      each(of, (from, to) => {
        world.network.resetBetween(from, to);
      }),
  },
  disk: {
    kind: "fault",
    says:
      "the next commits fail or are doubtful, or none is answered for a while, or each is slow; " +
      "refuses: what has this text in it can never be held",
    run: (
      world,
      { of, with: { fails = 0, doubts = 0, stalls = 0, slow, refuses, for: forMs } },
    ) => {
      const { disk } = world.plane(of);
      if (refuses !== undefined) disk.refused = String(refuses);
      disk.failing += Number(fails);
      disk.doubtful += Number(doubts);
      if (stalls) disk.stalledUntilMs = world.nowMs + Number(stalls);
      if (slow === undefined) return;
      disk.latencyMs = { least: Number(slow), most: Number(slow) };
      world.agenda.after(Number(forMs ?? FOREVER_MS), () => {
        disk.latencyMs = { least: 0.3, most: 3 };
      });
    },
  },
  crash: {
    kind: "fault",
    says: "an actor gets a message that makes no sense to it",
    run: crashPart,
  },
  nack: {
    kind: "fault",
    says: "a proxy rejects everything for a while",
    run: (world, { of, with: { for: forMs = 5_000 } }) => {
      const envoy = world.envoys.get(of);
      if (!envoy) return;
      const before = envoy.judge;
      envoy.judge = () => "not to my liking";
      world.agenda.after(Number(forMs), () => {
        envoy.judge = world.luck.healed ? null : before;
      });
    },
  },
  idle: {
    kind: "fault",
    says: "a proxy, or a zone's link to global, reads only so long after it could",
    run: (world, { of, with: { delay = 500, for: forMs = 5_000 } }) => {
      const end: End | null | undefined = world.envoys.get(of)?.end ??
        world.zones.find(({ name }) => name === of)?.kdsClient?.end;
      if (!end) return;
      end.readingDelayMs = Number(delay);
      world.agenda.after(Number(forMs), () => {
        end.readingDelayMs = 0;
      });
    },
  },
  garble: {
    kind: "fault",
    says: "a zone cannot read what has this text in it; no text: it can again",
    run: garble,
  },
  refuse: {
    kind: "fault",
    says: "a zone rejects every response of a type, for a while",
    run: refuse,
  },
  corrupt: {
    kind: "fault",
    says: "somebody alters copies of what the other side wrote, in the store of a process",
    run: corrupt,
  },
  kumalike: {
    kind: "fault",
    says: "a zone and global connect anew, and take each other for Kuma's",
    run: takeForKuma,
  },
  bulk: {
    kind: "work",
    says: "so many insights, of so many bytes each, appear in a zone's store",
    run: bulk,
  },
  secret: {
    kind: "work",
    says: "a Secret is written in PROCESS/MESH/NAME; gone: it is deleted",
    run: writeSecret,
  },
  warm: {
    kind: "fault",
    says: "a proxy takes so long to make a configuration its own",
    run: (world, { of, with: { delay = 500 } }) => {
      const envoy = world.envoys.get(of);
      if (envoy) envoy.warmingMs = Number(delay);
    },
  },
  garbage: {
    kind: "fault",
    says: "a proxy or a zone sends what is no message, or one that is too large or out of place",
    run: sayGarbage,
  },
  mark: {
    kind: "check",
    says: "what is counted is counted from here on",
    run: (world) => mark(world),
  },
  expect: {
    kind: "check",
    says: "a sentence that must be true, within a time",
    run: expect,
  },
  accept: {
    kind: "work",
    says: "an operator of a zone takes the global that is there for the right one",
    run: (world, { of }) => world.accept(of),
  },
} satisfies Record<string, Act>;

export type Verb = keyof typeof VERBS;

export function actOf(verb: Verb): Act {
  return VERBS[verb];
}

/** `a > b` is one direction, `a - b` both. */
function each(link: string, act: (from: string, to: string) => void): void {
  const [, a, how, b] = /^(\S+) ([->]) (\S+)$/.exec(link) ?? [];
  if (a === undefined || b === undefined) throw new Error(`"${link}" must be "a - b" or "a > b"`);
  act(a, b);
  if (how === "-") act(b, a);
}

// ---- proxies

interface Place {
  readonly zone: string;
  readonly mesh: string;
  readonly name: string;
  /** Of all proxies of the same mesh and zone. */
  readonly serial: number;
}

function placeOf(world: World, id: string): Place {
  const [zone, mesh, name] = id.split("/") as [string, string, string];
  let serial = world.serials.get(id);
  if (serial === undefined) {
    serial = world.serials.size + 1;
    world.serials.set(id, serial);
  }
  return { zone, mesh, name, serial };
}

function ipOf(world: World, { zone, mesh, serial }: Place): string {
  const at = world.zones.findIndex(({ name }) => name === zone) + 1;
  return addressOf(at, MESHES.indexOf(mesh), serial);
}

function sidecarOf(world: World, id: string, given: With): JsonObject {
  const place = placeOf(world, id);
  const { mesh, name } = place;
  const { port = 8080, service = name.replace(/-\d+$/, ""), protocol, version, uses = [] } = given;
  const outbound = (uses as readonly string[]).map((used, i) => ({
    port: 20_000 + i,
    tags: { "kuma.io/service": used },
  }));
  const resource = sidecar({ mesh, name }, {
    address: ipOf(world, place),
    port: Number(port),
    service: String(service),
    tags: {
      ...(protocol !== undefined && { "kuma.io/protocol": String(protocol) }),
      ...(version !== undefined && { version: String(version) }),
    },
    outbound,
  });
  if (given["probed"]) return probed(resource);
  if (!given["gateway"]) return resource;
  const gateway = { tags: { "kuma.io/service": `${name}-gateway` } };
  const address = ipOf(world, place);
  return { ...resource, networking: { address, gateway, ...(outbound[0] && { outbound }) } };
}

/** Its inbounds take traffic when the workload behind them answers. */
function probed(resource: JsonObject): JsonObject {
  const networking = resource["networking"] as JsonObject;
  const inbound = (networking["inbound"] as readonly JsonObject[]).map((one) => ({
    ...one,
    serviceProbe: { tcp: {} },
  }));
  return { ...resource, networking: { ...networking, inbound } };
}

function proxyOf(world: World, { of, with: given }: Step, resource: JsonObject | null): Envoy {
  return world.envoy(of, () => ({
    key: { type: "dataplane", mesh: placeOf(world, of).mesh, name: placeOf(world, of).name },
    dialect: (given["dialect"] ?? "delta") as Dialect,
    resource,
    metadata: given["bind"] ? { features: ["feature-bind-outbounds"] } : {},
  }));
}

function startProxy(world: World, step: Step): void {
  const { of, with: given } = step;
  const resource = given["stored"] ? null : sidecarOf(world, of, given);
  const envoy = proxyOf(world, step, resource);
  envoy.resource = resource;
  if (envoy.token === null) world.tokens.give(envoy, "none");
  envoy.probes(Boolean(given["probed"]));
  envoy.start(given["nameless"] ? "" : world.newInstance());
}

/** Somebody copied a machine: same name, another address of the network, another run. */
function startTwin(world: World, { of, with: { for: forMs = 10_000 } }: Step): void {
  const original = world.envoys.get(of);
  if (!original?.running) return;
  const { key, dialect } = original.options;
  const { resource } = original;
  const twin = world.envoy(`${of}${TWIN}`, () => ({ key, dialect, resource }));
  if (twin.running) return;
  twin.token = original.token;
  twin.start(original.instance === "" ? "" : world.newInstance());
  world.agenda.after(Number(forMs), () => twin.stop("kill"));
}

function startIngress(world: World, { of, with: { dialect = "delta" } }: Step): void {
  const [zone, name] = of.split("/") as [string, string];
  const at = world.zones.findIndex((plane) => plane.name === zone) + 1;
  const serial = Number(name.split("-").at(-1));
  const resource = ingressResource(name, `10.${at}.200.${serial}`, `192.168.${at}.${serial}`);
  const envoy = world.envoy(of, () => ({
    key: { type: "ingress", mesh: "", name },
    dialect: dialect as Dialect,
    resource,
  }));
  if (envoy.token === null) world.tokens.give(envoy, "none");
  envoy.start(world.newInstance());
}

function stopProxy(world: World, { of, with: { how = "close" } }: Step): void {
  const envoy = world.envoys.get(of);
  if (envoy) stop(world, envoy, String(how));
}

function stop(world: World, envoy: Envoy, how: string): void {
  if (!envoy.running) return;
  if (how === "close" || how === "kill" || how === "vanish") return envoy.stop(how);
  const { key, server } = envoy.options;
  const { instance, end: stream } = envoy;
  envoy.draining = true;
  const zone = world.zone(server.name);
  const { site } = envoy.options;
  const { incarnation } = site;
  const isSame = () => site.incarnation === incarnation;
  const isAlone = world.envoysNamed(zone.name, proxyText(key)).length === 1;
  // A twin may take the name back; so may the next run, which who tells no run id may be as it dials.
  const mayBeNext = () => !isAlone || instance === "" && envoy.end !== stream;
  const end = () => {
    if (isSame()) envoy.stop("close");
  };
  // What `ursa dp` does at its end: it waits for the answer, but not for ever.
  world.agenda.after(2_000, end);
  zone.ask<LeaveResult>(
    PROXIES,
    (reply): ProxiesMsg => ({
      tag: "leave",
      proxy: key,
      instance,
      how: how === "drain" ? "drain" : "deregister",
      credential: envoy.token,
      reply,
    }),
    (result) => {
      if (result.ok && how === "drain" && isSame() && !mayBeNext()) {
        checkDrained(world, zone, envoy);
      }
      end();
    },
  );
}

/** It was told that it may end: by then nobody new is sent to it. */
function checkDrained(world: World, { name: zone, disk }: ControlPlane, envoy: Envoy): void {
  const { mesh, name } = envoy.options.key;
  const stored = disk.image.get({ type: "Dataplane", mesh, name });
  if (!stored || envoy.resource === null) return;
  if (inboundsOf(stored.spec).some(isReady)) {
    world.violate("drained proxies are out", `${envoy.text} of ${zone} drained, and is offered`);
  }
}

function scale(world: World, step: Step): void {
  const { of, with: { to = 1, ...given } } = step;
  const [zone, mesh, service] = of.split("/") as [string, string, string];
  const start = new RegExp(`^${zone}/${mesh}/${service}-\\d+$`);
  for (const [id, envoy] of world.envoys) {
    if (start.test(id) && Number(id.split("-").at(-1)) > Number(to)) {
      stop(world, envoy, "deregister");
    }
  }
  for (let n = 1; n <= Number(to); n++) {
    const id = `${zone}/${mesh}/${service}-${n}`;
    if (!world.envoys.get(id)?.running) startProxy(world, { ...step, of: id, with: given });
  }
}

function writtenByHand(world: World, step: Step): void {
  const { of, with: { gone = false, ...given } } = step;
  const place = placeOf(world, of);
  const zone = world.zone(place.zone);
  const key = { type: "Dataplane", mesh: place.mesh, name: place.name };
  if (gone) {
    world.envoys.get(of)?.stop("close");
    return world.write(zone, [{ op: "delete", key }]);
  }
  if (!zone.disk.image.get({ type: "Mesh", mesh: "", name: place.mesh })) return;
  world.writtenByHand.add(ipOf(world, place));
  world.write(zone, [{ op: "put", resource: draftOf(sidecarOf(world, of, given)) }]);
  startProxy(world, { ...step, with: { ...given, stored: true } });
}

// ---- resources

const POLICY_TYPES: Readonly<Record<string, string>> = {
  permission: "TrafficPermission",
  route: "TrafficRoute",
  timeout: "MeshTimeout",
  producer: "MeshTimeout",
};

function writePolicy(world: World, { of, with: given }: Step): void {
  const [mesh, name] = of.split("/") as [string, string];
  const { kind = "permission", gone = false, in: where } = given;
  const type = POLICY_TYPES[String(kind)]!;
  const plane = where === undefined ? world.writer : world.zone(String(where));
  if (gone) return world.write(plane, [{ op: "delete", key: { type, mesh, name } }]);
  world.write(plane, [{
    op: "put",
    resource: policyOf({ mesh, name, kind: String(kind) }, given),
  }]);
}

function policyOf(
  { mesh, name, kind }: { readonly mesh: string; readonly name: string; readonly kind: string },
  given: With,
): Draft {
  const { from = "*", to = "*", broken = false } = given;
  if (kind === "timeout") return timeout(mesh, name);
  if (kind === "producer") return timeout(mesh, name, "shop");
  const resource: Draft = kind === "route"
    ? route(mesh, name, String(from), { split: splitOf(given) })
    : permission(mesh, name, String(from), String(to));
  // As nobody could write it through the API: it cannot even be put into bytes.
  return broken ? { ...resource, spec: { sources: "nonsense" } } : resource;
}

function splitOf({ to = "web", weight = 20, zone = "east" }: With): JsonObject[] {
  return [
    { weight: Number(weight), destination: { "kuma.io/service": String(to), version: "v1" } },
    {
      weight: 20,
      destination: { "kuma.io/service": String(to), "kuma.io/zone": String(zone) },
    },
  ];
}

function editPolicies(world: World, { of, with: given }: Step): void {
  const { count = 10, over = 10, gap = 1, named = "edited", from, kind = "permission" } = given;
  const filler = "x".repeat(Number(given["bytes"] ?? 0));
  for (let n = 0; n < Number(count); n++) {
    const name = `${named}-${n % Number(over)}`;
    world.agenda.after(n * Number(gap), () => {
      const source = String(from ?? `from-${Math.round(world.nowMs)}${filler}`);
      const resource = policyOf({ mesh: of, name, kind: String(kind) }, { from: source });
      world.write(world.writer, [{ op: "put", resource }]);
    });
  }
}

/** Of proxies that are not there: each is written, changed and deleted in turn; gone: only deleted. */
function editDataplanes(world: World, { of, with: given }: Step): void {
  const { count = 10, over = 10, gap = 1, service = "web", gone = false } = given;
  const zone = world.zone(of.split("/")[0]!);
  for (let n = 0; n < Number(count); n++) {
    const place = placeOf(world, `${of}/written-${n % Number(over)}`);
    const { mesh, name } = place;
    const round = Math.floor(n / Number(over));
    world.writtenByHand.add(ipOf(world, place));
    world.agenda.after(n * Number(gap), () => {
      if (gone || round % 3 === 2) {
        return world.write(zone, [{ op: "delete", key: { type: "Dataplane", mesh, name } }]);
      }
      const described = { service: String(service), version: `v${round}` };
      const resource = draftOf(sidecarOf(world, `${of}/${name}`, described));
      world.write(zone, [{ op: "put", resource }]);
    });
  }
}

function writeMesh(
  world: World,
  { of, with: { mtls: backends = [], locality, gone = false } }: Step,
): void {
  const plane = world.writer;
  const key: ResourceKey = { type: "Mesh", mesh: "", name: of };
  if (!gone) {
    const [enabled, ...others] = backends as readonly string[];
    const spec = {
      ...(enabled !== undefined && mtls(enabled, enabled, ...others)),
      ...(locality && { routing: { localityAwareLoadBalancing: true } }),
    };
    return world.write(plane, [{ op: "put", resource: mesh(of, spec) }]);
  }
  const { image } = plane.disk;
  const types = ["TrafficPermission", "TrafficRoute", "Secret"];
  const inZone = plane === world.global ? [] : ["Dataplane", "DataplaneInsight"];
  const contents = [...types, ...inZone].flatMap((type) => image.list(type, of));
  world.write(plane, [
    { op: "delete", key },
    ...contents.map(({ type, mesh: within, name }): Op => ({
      op: "delete",
      key: { type, mesh: within, name },
    })),
  ]);
}

function writeZone(world: World, { of, with: { set = "enabled" } }: Step): void {
  if (!world.global) return;
  const key = { type: "Zone", mesh: "", name: of };
  if (set === "deleted") return world.write(world.global, [{ op: "delete", key }]);
  if (!world.global.disk.image.get(key)) return;
  const resource = { ...key, labels: {}, spec: { enabled: set === "enabled" } };
  world.write(world.global, [{ op: "put", resource }]);
}

function resolve(world: World, { of, with: { service = "web", how = "well" } }: Step): void {
  const at = world.asking(world.zone(of));
  const name = `${service}.mesh`;
  at.from.alive = true;
  if (how === "nonsense") {
    for (let n = 0; n < QUESTIONS; n++) sayNonsense(at, name);
    return;
  }
  for (const asked of [name, "nobody.mesh", "elsewhere.example"]) ask(at, asked, "A");
  ask(at, name, "AAAA");
}

// ---- what breaks

function startProcess(world: World, { of, with: { store, keys } }: Step): void {
  const plane = world.plane(of);
  const copy = store === "old" ? world.copies.get(of) : undefined;
  if (store !== undefined) {
    plane.kill(false);
    if (plane === world.global) holdBack(world, plane, copy?.revision ?? -1);
    const first = plane === world.writer
      ? world.tokens.firstStore(keys === "new" ? "new" : "the same")
      : { revision: 0, resources: [] };
    plane.disk.load(copy ?? first);
    plane.disk.replaced = true;
  }
  world.start(plane);
  plane.disk.replaced = false;
}

/** What a global offered that comes back with no more than `revision` is to stay. */
function holdBack(world: World, global: ControlPlane, revision: number): void {
  world.replaced = true;
  for (const zone of world.zones) {
    const { name, disk } = zone;
    const kept = world.heldBack.get(name) ?? new Set(offeredTo(global, zone).map(keyText));
    // A copy may hold everything that a zone has seen, and then is no stranger.
    if (seenOfGlobal(disk) > revision) world.heldBack.set(name, kept);
    else world.heldBack.delete(name);
  }
}

/** Up to which revision a zone certainly knows its global; -1: it never met one. */
function seenOfGlobal({ image }: Disk): number {
  const note = image.get({ type: "Config", mesh: "", name: GLOBAL_CONFIG });
  return readAllegiance(note).accepted?.revision ?? -1;
}

function crashPart(world: World, { of, with: { part = "hub" } }: Step): void {
  // DNS hears only what it may merge.
  const { kernel } = world.plane(of);
  const paths = kernel?.actors().map(({ path }) => path).filter((path) =>
    path !== "dns" && path.startsWith(String(part))
  );
  const path = paths?.[0];
  if (path !== undefined) kernel!.send(path, { tag: "nonsense" });
}

const REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest";

function sayGarbage(world: World, { of, with: { how = "malformed" } }: Step): void {
  const envoy = world.envoys.get(of);
  if (envoy?.probing && how === "malformed") envoy.probing.say(Uint8Array.of(0xff, 0xff, 0x01));
  if (envoy) return envoy.say(how === "stale" ? staleAck() : Uint8Array.of(0xff, 0xff, 0x01));
  const end = world.zones.find(({ name }) => name === of)?.kdsClient?.end;
  if (!end) return;
  if (how === "stale") return end.send("global_to_zone", staleAck());
  if (how === "oversize") {
    return end.send("zone_to_global", new Uint8Array(MESSAGE_BYTES_MAX + 1));
  }
  const sender = how === "from global" ? end.peer : end;
  sender.send("global_to_zone", Uint8Array.of(0xff, 0xff, 0x01));
}

/** An ACK of what was never sent. */
function staleAck(): Uint8Array {
  return encode(REQUEST, {
    typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    responseNonce: "never-sent",
  });
}
