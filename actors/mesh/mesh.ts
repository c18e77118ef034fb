// One mesh as its zone sees it: keeps the view, and tells each proxy when something it reads changed.

import { sameJson } from "../../core/json.ts";
import type { ConfigSpec, MeshSpec } from "../../core/mesh.ts";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { MeshView, ViewKey } from "../../core/mesh_view.ts";
import { type JsonObject, keyText, type Resource, type ResourceKey } from "../../core/resource.ts";
import { whyUnusable } from "../../core/usable.ts";
import { renderViolation } from "../../core/violation.ts";
import type { AvailableService, ZoneIngressSpec } from "../../core/zone.ts";
import { vipConfigName, vipsOf } from "../../dns/vips.ts";
import {
  availableServices,
  buildMeshView,
  type MeshInput,
  updateMeshView,
} from "../../xds/topology.ts";
import { mergeChanges, type ResourcesChanged, toHub, type WriteResult } from "../hub/messages.ts";
import { PROXIES, type ProxiesMsg } from "../proxies/messages.ts";
import { RECEIPTS, type ReceiptsMsg } from "../receipts/messages.ts";
import {
  type Actor,
  type Context,
  count,
  type Effect,
  isAt,
  log,
  type Path,
  send,
  timer,
  type Turn,
} from "../runtime/actor.ts";
import { ChangedParts } from "./changed_parts.ts";
import type { MeshArgs, MeshChanged, MeshMsg } from "./messages.ts";

/** After a disk that failed: by then it may work again. */
const OFFER_AGAIN_MS = 1_000;

interface Subscriber {
  /** null until it said what it reads: then everything concerns it. */
  reads: ReadonlySet<ViewKey> | null;
}

interface State {
  readonly args: MeshArgs;
  /** Owned tables, mutated in place. */
  readonly resources: Map<string, Map<string, Resource>>;
  readonly subscribers: Map<Path, Subscriber>;
  /** Reverse index: who reads a part of the view. */
  readonly readers: Map<ViewKey, Set<Path>>;
  readonly changedParts: ChangedParts;
  readonly view: MeshView | null;
  /** Versions of the ingresses that a write under way started from. */
  readonly ingressWrite: readonly (readonly [key: string, version: number])[] | null;
}

export const mesh: Actor<State, MeshMsg, MeshArgs> = {
  mailbox: {
    capacity: 100_000,
    whenFull: "crash",
    coalesce: (msg) => msg.tag === "resources_changed" ? "changes" : null,
    merge: (waiting, arrived) =>
      mergeChanges(waiting as ResourcesChanged, arrived as ResourcesChanged),
  },

  init(args, at) {
    const types = ["Mesh", "Dataplane", "ZoneIngress", "Config", ...args.policies];
    return [
      {
        args,
        resources: new Map(),
        subscribers: new Map(),
        readers: new Map(),
        changedParts: new ChangedParts(),
        view: null,
        ingressWrite: null,
      },
      [
        toHub({ tag: "subscribe", to: at.self, types, mesh: args.mesh }),
        unheard(args),
      ],
    ];
  },

  receive(state, msg, at) {
    switch (msg.tag) {
      case "resources_changed":
        return changed(state, msg, at);
      case "subscribe_view":
        // Perhaps a new incarnation of one that read something.
        forget(state, msg.to);
        state.subscribers.set(msg.to, { reads: null });
        return [state, state.view ? [tell(state, msg.to)] : []];
      case "unsubscribe_view":
        for (const path of [...state.subscribers.keys()]) {
          if (isAt(msg.to, path)) forget(state, path);
        }
        return [state, [
          send<ReceiptsMsg>(RECEIPTS, { tag: "audience_left", at: msg.to }),
          ...(msg.to.endsWith("/") ? [unheard(state.args)] : []),
        ]];
      case "view_read":
        return read(state, msg);
      case "ingress_written":
        return ingressWritten(state, msg.value as WriteResult, at);
      case "offer_due":
        return offer(state, [], at);
      case "mesh_deleted":
        return [state, [
          toHub({ tag: "unsubscribe", to: at.self }),
          ...[...state.subscribers.keys()].map((to) =>
            send<MeshChanged>(to, { tag: "mesh_changed", mesh: state.args.mesh, view: null })
          ),
          { do: "stop", path: at.self },
        ]];
    }
  },

  describe: ({ view, subscribers, readers }) => ({
    revision: view?.revision ?? 0,
    services: view?.services.size ?? 0,
    dataplanes: view?.dataplanes.size ?? 0,
    subscribers: subscribers.size,
    parts: readers.size,
  }),
};

function changed(state: State, msg: ResourcesChanged, at: Context): Turn<State> {
  const { mesh: name } = state.args;
  const relevant = msg.changes.filter(({ key }) => concerns(name, key));
  const said = relevant.flatMap(({ key, resource }) => take(state, key, resource));
  const input = inputOf(state, msg.revision);
  if (!input) return [state, [...said, announce(state, msg.revision, [], at)]];
  if (!state.view) {
    const next = { ...state, view: buildMeshView(input) };
    const all = [...next.subscribers.keys()];
    return offer(
      next,
      [...said, announce(next, msg.revision, all, at), ...all.map((to) => tell(next, to))],
      at,
    );
  }
  const { view, touched } = updateMeshView(state.view, input, relevant.map(({ key }) => key));
  const next = { ...state, view };
  state.changedParts.add(touched, view.revision);
  const concerned = readersOf(next, touched);
  return offer(next, [
    ...said,
    announce(next, msg.revision, concerned, at),
    ...concerned.map((to) => tell(next, to)),
  ], at);
}

/**
 * What a peer accepted and this zone cannot use stays out of the view. A Mesh never does, since its
 * proxies would lose mutual TLS with it: what it asks for in vain is left undone, on the safe side.
 */
function take(state: State, key: ResourceKey, resource: Resource | null): readonly Effect[] {
  const kind = state.args.kinds.byName(key.type);
  const shelf = shelfOf(state, key.type);
  const reasons = resource && kind ? whyUnusable(resource, kind) : [];
  if (resource && (reasons.length === 0 || key.type === "Mesh")) {
    shelf.set(keyText(key), resource);
  } else shelf.delete(keyText(key));
  return reasons.length === 0 ? [] : [
    log("warn", UNUSABLE[key.type] ?? "a resource of a peer has no effect here", {
      resource: keyText(key),
      reason: reasons.map(renderViolation).join("; ").slice(0, REASON_CHARS_MAX),
    }),
    count("ursa_unusable_resources_total", { type: key.type }),
  ];
}

const REASON_CHARS_MAX = 1_000;

const UNUSABLE: Readonly<Record<string, string>> = {
  Mesh: "a mesh asks for what is not done here; mutual TLS, where it is on, stays strict",
  TrafficPermission: "a permission of a peer permits nothing here",
};

/** The hub sends all global-scoped resources of the types; not every Mesh and Config is this one's. */
function concerns(mesh: string, { type, name }: ResourceKey): boolean {
  if (type === "Mesh") return name === mesh;
  if (type === "Config") return name === vipConfigName(mesh);
  return true;
}

function shelfOf({ resources }: State, type: string): Map<string, Resource> {
  let shelf = resources.get(type);
  if (!shelf) resources.set(type, shelf = new Map());
  return shelf;
}

function inputOf(state: State, revision: number): MeshInput | null {
  const { args } = state;
  const typed = <Spec>(type: string) =>
    [...shelfOf(state, type).values()] as unknown as readonly Resource<Spec>[];
  const [own] = typed<MeshSpec>("Mesh");
  if (!own) return null;
  const [config] = typed<ConfigSpec>("Config");
  return {
    mesh: own,
    dataplanes: typed<DataplaneSpec>("Dataplane"),
    zoneIngresses: typed<ZoneIngressSpec>("ZoneIngress"),
    policies: args.policies.flatMap((type) => typed<JsonObject>(type)),
    vips: config ? vipsOf(config) : NO_VIPS,
    zone: args.zone,
    revision,
  };
}

const NO_VIPS: ReadonlyMap<string, string> = new Map();

function readersOf(
  { subscribers, readers }: State,
  touched: ReadonlySet<ViewKey>,
): readonly Path[] {
  const concerned = new Set<Path>();
  for (const key of touched) for (const path of readers.get(key) ?? []) concerned.add(path);
  for (const [path, { reads }] of subscribers) if (reads === null) concerned.add(path);
  return [...concerned];
}

function read(
  state: State,
  { by, keys, revision }: MeshMsg & { readonly tag: "view_read" },
): Turn<State> {
  const subscriber = state.subscribers.get(by);
  if (!subscriber) return [state, []];
  unindex(state, by, subscriber);
  subscriber.reads = keys;
  for (const key of keys) {
    const paths = state.readers.get(key);
    if (paths) paths.add(by);
    else state.readers.set(key, new Set([by]));
  }
  // A part may have changed between the view that was read and this message.
  const late = state.changedParts.hasAfter(revision, keys);
  return [state, late ? [tell(state, by)] : []];
}

/** Nobody is subscribed, and some may have come in since before it was so. */
function unheard({ mesh }: MeshArgs): Effect {
  return send<ProxiesMsg>(PROXIES, { tag: "mesh_started", mesh });
}

function forget(state: State, path: Path): void {
  const subscriber = state.subscribers.get(path);
  if (subscriber) unindex(state, path, subscriber);
  state.subscribers.delete(path);
}

function unindex({ readers }: State, path: Path, { reads }: Subscriber): void {
  for (const key of reads ?? []) {
    const paths = readers.get(key);
    paths?.delete(path);
    if (paths?.size === 0) readers.delete(key);
  }
}

function tell({ args, view }: State, to: Path): Effect {
  return send<MeshChanged>(to, { tag: "mesh_changed", mesh: args.mesh, view });
}

function announce(_: State, revision: number, proxies: readonly Path[], at: Context): Effect {
  return send<ReceiptsMsg>(RECEIPTS, { tag: "change_announced", by: at.self, revision, proxies });
}

// ---- what the zone's ingresses offer of this mesh

function offer(state: State, effects: readonly Effect[], at: Context): Turn<State> {
  if (!state.view || state.ingressWrite) return [state, effects];
  const offered = availableServices(state.view);
  const stale = [...shelfOf(state, "ZoneIngress").values()].flatMap((resource) => {
    const ingress = resource as unknown as Resource<ZoneIngressSpec>;
    if (ingress.spec.zone && ingress.spec.zone !== state.args.zone) return [];
    const next = withServices(ingress, state.args.mesh, offered);
    return sameJson(next, ingress.spec.availableServices ?? []) ? [] : [{ ingress, next }];
  });
  if (stale.length === 0) return [state, effects];
  const from = stale.map(({ ingress }) => [keyText(ingress), ingress.version] as const);
  return [{ ...state, ingressWrite: from }, [
    ...effects,
    toHub({
      tag: "write",
      by: at.self,
      // Other meshes write the same ingresses: whoever comes second looks again.
      ops: stale.map(({ ingress, next }) => ({
        op: "put",
        expected: ingress.version,
        resource: {
          ...(ingress as unknown as Resource),
          spec: { ...ingress.spec, availableServices: next } as unknown as Resource["spec"],
        },
      })),
      reply: { path: at.self, tag: "ingress_written", ref: "" },
    }),
  ]];
}

/** Other meshes' services untouched; the whole sorted by mesh, each mesh's own order kept. */
function withServices(
  { spec }: Resource<ZoneIngressSpec>,
  mesh: string,
  offered: readonly AvailableService[],
): readonly AvailableService[] {
  const others = (spec.availableServices ?? []).filter((service) => service.mesh !== mesh);
  return [...others, ...offered].sort((a, b) => (a.mesh < b.mesh ? -1 : a.mesh > b.mesh ? 1 : 0));
}

function ingressWritten(state: State, result: WriteResult, at: Context): Turn<State> {
  const from = state.ingressWrite ?? [];
  const idle = { ...state, ingressWrite: null };
  if (result.ok) return offer(idle, [], at);
  if (result.reason === "conflict") {
    // The newer ingress is here already, or else on its way and brings the next attempt.
    const ingresses = shelfOf(state, "ZoneIngress");
    const isHere = from.some(([key, version]) => ingresses.get(key)?.version !== version);
    return isHere ? offer(idle, [], at) : [idle, []];
  }
  return [idle, [
    log("error", "available services not written", { reason: result.reason }),
    timer("offer", OFFER_AGAIN_MS, { tag: "offer_due" }),
  ]];
}
