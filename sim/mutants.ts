// Deliberate bugs, each around the actors of a simulated tree: whoever looks on must find every one.
// Production code knows nothing of them.

import { type Context, type Effect, type Message, timer } from "../actors/runtime/actor.ts";
import type { AnyActor, Tree } from "../actors/runtime/tree.ts";
import { type HubMsg, toHub, type WriteResult } from "../actors/hub/messages.ts";
import type { Draft, JsonObject, ResourceKey } from "../core/resource.ts";
import { notesOfAhead } from "../kds/ahead.ts";
import { ZONE_LABEL } from "../core/names.ts";
import { meshOfVipConfig } from "../dns/vips.ts";
import type { Op } from "../store/store.ts";
import type { ControlPlane } from "./control_plane.ts";

// deno-lint-ignore no-explicit-any -- a bug reaches into whatever it breaks
type Loose = any;

const HOUR_MS = 3_600_000;

export interface Mutant {
  readonly name: string;
  /** What a user would notice. */
  readonly says: string;
  readonly around: (tree: Tree, where: ControlPlane) => Tree;
}

type Bend = (actor: AnyActor, args: Loose) => AnyActor;

/** Another actor in the place of `name`. */
function at(name: string, bend: Bend): Mutant["around"] {
  return (tree) =>
    tree.map((node) =>
      node.name === name
        ? { ...node, actor: bend(node.actor, node.kind === "one" ? node.args : null) }
        : node
    );
}

/** Other arguments for `name`. */
function withArgs(name: string, change: (args: Loose, where: ControlPlane) => Loose) {
  return (tree: Tree, where: ControlPlane): Tree =>
    tree.map((node) =>
      node.name === name && node.kind === "one" ? { ...node, args: change(node.args, where) } : node
    );
}

/** What it hears, changed; null: it does not hear it. */
function hears(change: (msg: Loose, state: Loose) => Message | null): Bend {
  return (actor) => ({
    ...actor,
    receive(state, msg, context) {
      const heard = change(msg, state);
      return heard === null ? [state, []] : actor.receive(state, heard, context);
    },
  });
}

/** What it does, changed: none, one or more in the place of each. */
function does(change: (effect: Loose, msg: Loose, state: Loose) => readonly Effect[]): Bend {
  return (actor) => ({
    ...actor,
    receive(state, msg: Message, context) {
      const [next, effects] = actor.receive(state, msg, context);
      return [next, effects.flatMap((effect) => [...change(effect, msg, next)])];
    },
  });
}

const isSend = (effect: Effect, tag: string) => effect.do === "send" && effect.msg.tag === tag;
const isTimer = (effect: Effect, name: string) => effect.do === "timer" && effect.name === name;
const isCommand = (effect: Loose, port: string, what: string) =>
  effect.do === "command" && effect.port === port && effect.command.do === what;

/** Drops what fits. */
const never = (fits: (effect: Loose, msg: Loose) => boolean): Bend =>
  does((effect, msg) => fits(effect, msg) ? [] : [effect]);

/** Of a change set that is not the first: without those that fit. */
const without = (
  fits: (key: ResourceKey, index: number, all: number, resource: unknown) => boolean,
): Bend =>
  hears((msg) =>
    msg.tag !== "resources_changed" || msg.full ? msg : {
      ...msg,
      changes: msg.changes.filter((change: Loose, i: number) =>
        !fits(change.key, i, msg.changes.length, change.resource)
      ),
    }
  );

/** It takes it for earlier when it hears one of these. */
const earlier = (tag: string, ms: number): Bend => (actor) => ({
  ...actor,
  receive(state, msg: Message, context) {
    const nowMs = msg.tag === tag ? context.nowMs - ms : context.nowMs;
    return actor.receive(state, msg, { ...context, nowMs });
  },
});

function ofZone(zone: string, { labels, spec, ...rest }: Draft): Draft {
  return { ...rest, labels: { ...labels, [ZONE_LABEL]: zone }, spec: { ...spec, zone } };
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledges before durable",
    says: "a write is answered while it is on its way to the disk",
    around: at("hub", (actor, args) => ({
      ...actor,
      receive(state, msg: Loose, context) {
        if (msg.tag !== "write" || msg.by !== "test") return actor.receive(state, msg, context);
        const { reply: to, ...silent } = msg;
        const [next, effects] = actor.receive(state, silent, context);
        const value: WriteResult = {
          ok: true,
          revision: args.reader.revision + 1,
          changes: [],
        };
        return [next, [...effects, { do: "reply", to, value }]];
      },
    })),
  },
  {
    name: "disk forgets its last commit",
    says: "a process that is killed has lost what it had acknowledged",
    around: (tree, where) => {
      where.disk.forgetful = true;
      return tree;
    },
  },
  {
    name: "drops a coalesced message",
    says: "of two changes that wait together, only the newer is seen",
    around: (tree) =>
      tree.map((node) => ({
        ...node,
        actor: {
          ...node.actor,
          mailbox: {
            ...node.actor.mailbox,
            ...(node.actor.mailbox.merge &&
              { merge: (_waiting: Message, arrived: Message) => arrived }),
          },
        },
      })),
  },
  {
    name: "forgets a reverse-index entry",
    says: "a proxy is not told of one of the things that it reads",
    around: at(
      "meshes",
      hears((msg) =>
        msg.tag === "view_read" ? { ...msg, keys: new Set([...msg.keys].slice(1)) } : msg
      ),
    ),
  },
  {
    name: "reuses a virtual IP",
    says: "two services of a mesh have one address",
    around: withArgs("hub", (args) => ({ ...args, derive: bentVips(args.derive, clash) })),
  },
  {
    name: "moves virtual IPs",
    says: "a service's address changes when another one comes",
    around: withArgs("hub", (args) => ({ ...args, derive: bentVips(args.derive, rotate) })),
  },
  {
    name: "accepts a stale nonce",
    says: "an answer to an earlier response counts for the one that is out",
    around: at(
      "dataplanes",
      hears((msg, state) => {
        if (msg.tag !== "stream_request") return msg;
        const { typeUrl, nonce } = msg.request;
        const inFlight = state.stream?.ads.types.get(typeUrl)?.inFlight;
        return nonce === "" || !inFlight
          ? msg
          : { ...msg, request: { ...msg.request, nonce: inFlight.nonce } };
      }),
    ),
  },
  {
    name: "two owners of one proxy",
    says: "the stream of a proxy that was taken over stays",
    around: at(
      "dataplanes",
      never((effect, msg) => msg.tag === "stream_opened" && isCommand(effect, "xds", "end")),
    ),
  },
  {
    name: "a zone creates its own CA",
    says: "a zone under a global makes a CA before global's has come",
    around: withArgs("identity", (args) => ({ ...args, mayCreateCas: true })),
  },
  {
    name: "digests are not compared",
    says: "a copy that somebody altered stays so",
    around: at(
      "zones",
      hears((msg) => msg.tag === "health_checked" ? { ...msg, digests: null } : msg),
    ),
  },
  {
    name: "a poisoned batch is dropped",
    says:
      "writes that share a commit with one that the store refuses are lost, and said to be made",
    around: at("hub", (actor, args) =>
      hears((msg) => {
        const { result } = msg;
        if (msg.tag !== "commit_done" || result.ok || result.retryable) return msg;
        const value = { ok: true, revision: args.reader.revision, changes: [] };
        return { ...msg, result: { ok: true, value } };
      })(actor, args)),
  },
  {
    name: "obeys any global",
    says: "a global that lost its store empties its zones",
    around: at(
      "uplink",
      hears((msg, state) => {
        const { accepted } = state.allegiance;
        if (msg.tag !== "response_received" || !accepted) return msg;
        const systemVersion = `${accepted.clusterId}:${accepted.revision + 1}`;
        return { ...msg, response: { ...msg.response, systemVersion } };
      }),
    ),
  },
  {
    name: "believes the number of a backup",
    says:
      "a global that was restored from a backup takes away what it forgot, once it wrote enough",
    around: at(
      "uplink",
      hears((msg) => {
        if (msg.tag !== "response_received") return msg;
        const systemVersion = msg.response.systemVersion.replace(/;[^:]*/, "");
        return { ...msg, response: { ...msg.response, systemVersion } };
      }),
    ),
  },
  {
    name: "announces before listening",
    says: "others are sent to a proxy that has no listeners yet",
    around: at(
      "dataplanes",
      does((effect, msg) => {
        if (msg.tag !== "stream_opened" || !isSend(effect, "write")) return [effect];
        return [{ ...effect, msg: { ...effect.msg, ops: effect.msg.ops.map(ready) } }];
      }),
    ),
  },
  {
    name: "a lease never ends",
    says: "a proxy that is gone stays everybody's endpoint",
    around: at("dataplanes", never((effect) => isTimer(effect, "lease"))),
  },
  {
    name: "a lease begins when its proxy is missed",
    says: "a proxy that vanished stays an endpoint for almost twice as long as its lease",
    around: at(
      "proxies",
      hears((msg) => msg.tag === "stream_closed" ? { ...msg, silentMs: 0 } : msg),
    ),
  },
  {
    name: "an old lease's timer ends the new registration",
    says: "a proxy that was away for a moment is nobody's endpoint a little later",
    around: at("dataplanes", endsLater("stream_closed", (_msg, { self }) => self, 10_000)),
  },
  {
    name: "a lease ends twice",
    says: "a proxy that left and came back is deregistered once more",
    around: at("proxies", endsLater("proxy_gone", (msg) => msg.path, 5_000)),
  },
  {
    name: "leases go on while a control plane is away",
    says: "a restart of a control plane takes the endpoints away that were not back at once",
    around: withArgs("proxies", (args) => ({
      ...args,
      settings: { ...args.settings, firstLeaseMs: 300 },
    })),
  },
  {
    name: "a late close ends the newer stream",
    says: "a proxy that reconnected is taken for gone",
    around: at(
      "dataplanes",
      hears((msg, state) =>
        msg.tag === "stream_closed" && state.stream ? { ...msg, stream: state.stream.id } : msg
      ),
    ),
  },
  {
    name: "takes a NACK for an ACK",
    says: "nobody hears that a proxy rejects its configuration",
    around: at(
      "dataplanes",
      hears((msg) => {
        if (msg.tag !== "stream_request" || msg.request.error === undefined) return msg;
        const { error: _error, ...request } = msg.request;
        return { ...msg, request };
      }),
    ),
  },
  {
    name: "insights are not written",
    says: "proxies are shown as they once were",
    around: at("insights", never((effect) => isSend(effect, "write"))),
  },
  {
    name: "meshes mix",
    says: "a mesh sees the proxies of all others",
    around: at("meshes", (actor) => ({
      ...actor,
      init(args, context) {
        const [state, effects] = actor.init(args, context);
        return [
          state,
          effects.map((effect: Loose) => {
            if (!isSend(effect, "subscribe")) return effect;
            const { mesh: _mesh, ...msg } = effect.msg;
            return { ...effect, msg };
          }),
        ];
      },
    })),
  },
  {
    name: "another's certificate",
    says: "a proxy presents what was issued for the one before it",
    around: at("identity", anothersCertificate),
  },
  {
    name: "no new certificate for a new CA",
    says: "proxies go on with a CA that is no longer used",
    around: at("identity", onlyFirstCertificate),
  },
  {
    name: "a disabled zone is still offered",
    says: "requests go to a zone that an operator took out",
    around: at("zones", without((key) => key.type === "Zone")),
  },
  {
    name: "a zone forgets what was deleted",
    says: "what was deleted on global stays in zones",
    around: at(
      "uplink",
      hears((msg) =>
        msg.tag === "response_received"
          ? { ...msg, response: { ...msg.response, removed: [] } }
          : msg
      ),
    ),
  },
  {
    name: "global forgets what was deleted",
    says: "proxies that are gone stay on global, and in other zones",
    around: at(
      "zones",
      hears((msg) =>
        msg.tag === "response_received"
          ? { ...msg, response: { ...msg.response, removed: [] } }
          : msg
      ),
    ),
  },
  {
    name: "a change set loses its last change",
    says: "a zone's link misses changes that were committed with others",
    around: at("uplink", without((_key, i, all) => all > 1 && i === all - 1)),
  },
  {
    name: "the door forgets to close",
    says: "proxies that are gone are shown as online",
    around: at("proxies", hears((msg) => msg.tag === "stream_closed" ? null : msg)),
  },
  {
    name: "DNS is not told",
    says: "names of services that came later do not resolve",
    around: at("dns", never((effect) => effect.do === "command")),
  },
  {
    name: "DNS remembers for ever",
    says: "names of services that are gone still resolve",
    around: at("dns", everyNameEver),
  },
  {
    name: "DNS answers late",
    says: "a zone's DNS lags one change behind",
    around: at("dns", oneBehind),
  },
  {
    name: "never connects again",
    says: "a zone that lost global once is alone for ever",
    around: at(
      "uplink",
      never((effect, msg) => msg.tag === "disconnected" && isTimer(effect, "connect")),
    ),
  },
  {
    name: "a receipt waits for ever",
    says: "somebody who waits for a change to arrive never hears that it has",
    around: at(
      "receipts",
      hears((msg) => msg.tag === "proxy_progress" && msg.outcome.state === "acked" ? null : msg),
    ),
  },
  {
    name: "a receipt lies early",
    says: "a change counts as taken by proxies that have only been sent it",
    around: at(
      "receipts",
      hears((msg) =>
        msg.tag === "proxy_progress" && msg.outcome.state === "pending"
          ? { ...msg, outcome: { state: "acked" } }
          : msg
      ),
    ),
  },
  {
    name: "a receipt forgets whom it concerns",
    says: "a change counts as complete before any proxy has taken it",
    around: at(
      "receipts",
      hears((msg) => msg.tag === "change_announced" ? { ...msg, proxies: [] } : msg),
    ),
  },
  {
    name: "a zone counts as told too early",
    says: "a change counts as delivered to a zone that is still being sent it",
    around: at(
      "zones",
      does((effect) =>
        isSend(effect, "zone_progress")
          ? [{ ...effect, msg: { ...effect.msg, revision: effect.msg.revision + 1 } }]
          : [effect]
      ),
    ),
  },
  {
    name: "actors of proxies stay",
    says: "memory grows with every proxy that ever was there",
    around: at("dataplanes", never((effect) => effect.do === "stop")),
  },
  {
    name: "subscriptions stay",
    says: "a mesh keeps an entry for every proxy that ever was there",
    around: at("meshes", hears((msg) => msg.tag === "unsubscribe_view" ? null : msg)),
  },
  {
    name: "writes when idle",
    says: "a disk is busy though nothing happens",
    around: at(
      "zones",
      does((effect, msg) =>
        msg.tag === "insight_due"
          ? [effect, {
            do: "timer",
            name: "insight",
            afterMs: 200,
            msg: { tag: "insight_due" } as Message,
          }]
          : [effect]
      ),
    ),
  },
  {
    name: "removals do not reach proxies",
    says: "a proxy keeps routes to services that are gone",
    around: at(
      "dataplanes",
      does((effect) =>
        isCommand(effect, "xds", "send")
          ? [{
            ...effect,
            command: { ...effect.command, out: { ...effect.command.out, removed: [] } },
          }]
          : [effect]
      ),
    ),
  },
  {
    name: "a cluster is left out",
    says: "a proxy has routes to a cluster that it was not given",
    around: at(
      "dataplanes",
      does((effect) => {
        if (!isCommand(effect, "xds", "send")) return [effect];
        const { out } = effect.command;
        if (!out.typeUrl.endsWith("Cluster") || out.resources.length < 3) return [effect];
        const resources = out.resources.slice(0, -1);
        return [{ ...effect, command: { ...effect.command, out: { ...out, resources } } }];
      }),
    ),
  },
  {
    name: "ACKs what it did not store",
    says: "a zone says that it has what it has not",
    around: at(
      "uplink",
      does((effect) =>
        isSend(effect, "write") && effect.msg.ops.length > 2
          ? [{ ...effect, msg: { ...effect.msg, ops: effect.msg.ops.slice(1) } }]
          : [effect]
      ),
    ),
  },
  {
    name: "a write that is retried is made twice",
    says: "an edit undoes what somebody else edited after it",
    around: at("hub", madeAgain),
  },
  {
    name: "a refused write is made",
    says: "who is told that somebody else was faster overwrites what that one wrote",
    around: at("hub", refusedAndMade),
  },
  {
    name: "half of a write is kept",
    says: "a mesh comes without its policies, and leaves some when it goes",
    around: at(
      "hub",
      hears((msg) =>
        isRest(msg) && msg.ops.length > 1
          ? { ...msg, ops: msg.ops.slice(0, Math.ceil(msg.ops.length / 2)) }
          : msg
      ),
    ),
  },
  {
    name: "a revoked token stays",
    says: "who was shut out keeps its stream, and hears of everything",
    around: at(
      "proxies",
      never((effect, msg) =>
        msg.tag === "resources_changed" &&
        (isSend(effect, "barred") || isCommand(effect, "xds", "end"))
      ),
    ),
  },
  {
    name: "an expired token is accepted",
    says: "a token that was to be good for an hour is good for ever",
    around: at("proxies", earlier("stream_opened", 13 * HOUR_MS)),
  },
  {
    name: "a retired key still verifies",
    says: "tokens that leaked stay good though their key was taken away",
    around: at(
      "proxies",
      without((key, _i, _all, resource) => key.type === "Secret" && resource === null),
    ),
  },
  {
    name: "a zone's revoked token stays",
    says: "a zone that was shut out goes on to be sent everything",
    around: at(
      "global",
      never((effect, msg) => msg.tag === "resources_changed" && isCommand(effect, "kds", "close")),
    ),
  },
  {
    name: "a peer speaks for another zone",
    says: "what one zone tells without global is believed of a third one",
    around: at(
      "peers",
      does((effect) => {
        if (!isSend(effect, "write")) return [effect];
        const ops = effect.msg.ops.map((op: Loose) =>
          op.op === "put" && op.resource.type === "ZoneIngress"
            ? { ...op, resource: ofZone("elsewhere", op.resource) }
            : op
        );
        return [{ ...effect, msg: { ...effect.msg, ops } }];
      }),
    ),
  },
  {
    name: "a peer's word outlives global's",
    says: "what zones told each other without global stays when global knows better",
    around: at(
      "uplink",
      hears((msg, state) =>
        msg.tag === "settle_due" ||
          msg.tag === "response_received" && msg.response.typeUrl === "ZoneIngress" &&
            notesOfAhead(state.image.get("Config").values()).length > 0
          ? null
          : msg
      ),
    ),
  },
  {
    name: "reports of health are ignored",
    says: "requests go to a workload that does not answer",
    around: at("proxies", hears((msg) => msg.tag === "health_reported" ? null : msg)),
  },
  {
    name: "bad health lasts",
    says: "a workload that answers again gets no requests",
    around: at(
      "dataplanes",
      hears((msg, state) =>
        msg.tag === "health_reported" && state.health && !allWell(state.health) ? null : msg
      ),
    ),
  },
  {
    name: "drained proxies come back",
    says: "a proxy that was taken out gets requests again while it ends",
    around: at(
      "dataplanes",
      does((effect, msg) =>
        msg.tag === "leave" && isSend(effect, "write")
          ? [{ ...effect, msg: { ...effect.msg, ops: effect.msg.ops.map(ready) } }]
          : [effect]
      ),
    ),
  },
];

function allWell({ workloads }: Loose): boolean {
  return Object.values(workloads).every(Boolean);
}

function ready(op: Op): Op {
  if (op.op !== "put") return op;
  const { networking } = op.resource.spec as Loose;
  if (!networking?.inbound) return op;
  const inbound = networking.inbound.map(({ state: _state, ...one }: Loose) => one);
  return {
    ...op,
    resource: {
      ...op.resource,
      spec: { ...op.resource.spec, networking: { ...networking, inbound } },
    },
  };
}

/** After this message, the registration of a proxy ends some time later, whoever has it by then. */
function endsLater(
  tag: string,
  pathOf: (msg: Loose, context: Context) => string,
  afterMs: number,
): Bend {
  return (actor) => ({
    ...actor,
    receive(state, msg: Loose, context) {
      if (msg.tag === "mutant_due") return [state, [deregistration(msg.path)]];
      const [next, effects] = actor.receive(state, msg, context);
      if (msg.tag !== tag) return [next, effects];
      const path = pathOf(msg, context);
      const due = { tag: "mutant_due", path } as Message;
      return [next, [...effects, { do: "timer", name: `mutant ${path}`, afterMs, msg: due }]];
    },
  });
}

function deregistration(path: string): Effect {
  const [, type, mesh, name] = path.split("/") as [string, string, string, string];
  const key = type === "ingress"
    ? { type: "ZoneIngress", mesh: "", name: mesh }
    : { type: "Dataplane", mesh, name };
  return toHub({ tag: "write", by: path, ops: [{ op: "delete", key }] });
}

const isRest = (msg: Loose): boolean => msg.tag === "write" && msg.by === "rest";

/** The same, whatever is there by then, and nobody hears of it. */
function unasked({ ops }: Loose, by: string): HubMsg {
  return { tag: "write", by, ops: ops.map(({ expected: _, ...op }: Loose) => op) };
}

/** Longer than it takes until somebody asks again. */
const AGAIN_MS = 3_000;

function madeAgain(actor: AnyActor): AnyActor {
  return {
    ...actor,
    receive(state, msg: Loose, context) {
      const [next, effects] = actor.receive(state, msg, context);
      if (!isRest(msg)) return [next, effects];
      const again = unasked(msg, "mutant");
      return [next, [...effects, timer(`again ${msg.reply.ref}`, AGAIN_MS, again)]];
    },
  };
}

function refusedAndMade(actor: AnyActor): AnyActor {
  const asked = new Map<string, Loose>();
  return {
    ...actor,
    receive(state, msg: Loose, context) {
      if (isRest(msg)) asked.set(msg.reply.ref, msg);
      const [next, effects] = actor.receive(state, msg, context);
      return [
        next,
        effects.flatMap((effect: Loose) => {
          const write = effect.do === "reply" && !effect.value.ok && asked.get(effect.to.ref);
          return write ? [effect, toHub(unasked(write, "mutant"))] : [effect];
        }),
      ];
    },
  };
}

type Addresses = readonly (readonly [string, Loose])[];

/** Changes the addresses in what a zone derives. */
function bentVips(derive: Loose, change: (entries: Addresses) => Addresses): Loose {
  return (overlay: Loose, context: Loose) => {
    const derived = derive(overlay, context);
    if (!derived) return derived;
    return {
      ...derived,
      ops: derived.ops.map((op: Op): Op => {
        if (op.op !== "put" || meshOfVipConfig(op.resource.name) === undefined) return op;
        const config = JSON.parse(String(op.resource.spec["config"]));
        const bent = Object.fromEntries(change(Object.entries(config)));
        const spec: JsonObject = { ...op.resource.spec, config: JSON.stringify(bent) };
        const resource: Draft = { ...op.resource, spec };
        return { ...op, resource };
      }),
    };
  };
}

function clash(entries: Addresses): Addresses {
  const [first] = entries;
  return entries.map(([key, value], i) =>
    i === 1 ? [key, { ...value, address: first![1].address }] : [key, value]
  );
}

function rotate(entries: Addresses): Addresses {
  return entries.map(([key, value], i) => [
    key,
    { ...value, address: entries[(i + 1) % entries.length]![1].address },
  ]);
}

function anothersCertificate(actor: AnyActor): AnyActor {
  let before: unknown = null;
  return does((effect) => {
    if (!isSend(effect, "identity_issued")) return [effect];
    const { material } = effect.msg;
    const given = before ?? material;
    before = material;
    return [{ ...effect, msg: { ...effect.msg, material: given } }];
  })(actor, null);
}

function everyNameEver(actor: AnyActor): AnyActor {
  const ever = new Map<string, string>();
  return does((effect) => {
    if (effect.do !== "command") return [effect];
    const { table } = effect.command;
    for (const [name, address] of table.addresses) ever.set(name, address);
    const command = { ...effect.command, table: { ...table, addresses: new Map(ever) } };
    return [{ ...effect, command }];
  })(actor, null);
}

function oneBehind(actor: AnyActor): AnyActor {
  let before: Message | null = null;
  return hears((msg) => {
    const heard = before ?? msg;
    before = msg;
    return heard;
  })(actor, null);
}

function onlyFirstCertificate(actor: AnyActor): AnyActor {
  const issued = new Set<string>();
  return does((effect) => {
    if (!isSend(effect, "identity_issued")) return [effect];
    if (issued.has(effect.to)) return [];
    issued.add(effect.to);
    return [effect];
  })(actor, null);
}
