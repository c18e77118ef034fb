import assert from "node:assert/strict";
import { KINDS } from "../../core/kinds.ts";
import type { Draft, Resource } from "../../core/resource.ts";
import { encodeUpward } from "../../kds/offers.ts";
import type { LinkCommand } from "../../kds/peer_wire.ts";
import { type KdsResponse, ownMetadata, parseWireName } from "../../kds/wire.ts";
import { writeLink } from "../../kds/zone_link.ts";
import type { Effect } from "../runtime/actor.ts";
import type { PeersMsg, PeersStatus } from "./messages.ts";
import { peers } from "./peers.ts";

const KIND = KINDS.find(({ name }) => name === "ZoneIngress")!;
const TIMES = { creationTime: "", modificationTime: "" };

function reach(zone: string, host = `${zone}.example`): Resource {
  const certificate = `-----BEGIN CERTIFICATE-----\n${zone}`;
  const draft = writeLink(zone, { host, port: 5687, certificate });
  return { ...draft, labels: { "kuma.io/origin": "global" }, version: 1, ...TIMES };
}

function ingress(zone: string, version = 5): Resource {
  return {
    type: "ZoneIngress",
    mesh: "",
    name: "gate",
    labels: {},
    spec: { zone, networking: { address: "127.0.0.1", port: 10_001 } },
    version,
    ...TIMES,
  };
}

function start(zone: string, stored: readonly Resource[]) {
  const at = { nowMs: 1_000, self: "peers", random: () => 1 };
  const args = { zone, descriptors: KINDS, version: "1", instance: `${zone}-1` };
  let [state, effects] = peers.init(args, at);
  const tell = (msg: PeersMsg): readonly Effect[] => {
    [state, effects] = peers.receive(state, msg, at);
    return effects;
  };
  const change = (full: boolean, resources: readonly Resource[], gone: readonly Resource[] = []) =>
    tell({
      tag: "resources_changed",
      revision: 9,
      full,
      changes: [
        ...resources.map((resource) => ({
          revision: resource.version,
          key: resource,
          resource,
          previous: null,
        })),
        ...gone.map((key) => ({ revision: 9, key, resource: null, previous: key })),
      ],
    });
  change(true, stored);
  return {
    at,
    tell,
    change,
    commands: () =>
      effects.flatMap((effect) => effect.do === "command" ? [effect.command as LinkCommand] : []),
    timers: () =>
      effects.flatMap((effect) => effect.do === "timer" ? [[effect.name, effect.afterMs]] : []),
    writes: () =>
      effects.flatMap((effect) =>
        effect.do === "send" && effect.msg.tag === "write"
          ? [effect.msg as unknown as { ops: { resource: Draft }[]; reply: { ref: string } }]
          : []
      ),
    status: () => peers.describe!(state) as unknown as PeersStatus,
    /** Alone, and linked with `peer`, which answered its dial. */
    alone(peer: string) {
      tell({ tag: "global_lost" });
      tell({ tag: "alone_due" });
      tell({ tag: "dial_due", peer });
      const [dial] = this.commands();
      assert.ok(dial?.do === "dial", "it dials");
      tell({ tag: "link_opened", link: dial.link, peer, dialled: true, run: null });
      return dial.link;
    },
  };
}

function responseOf(zone: string, revision = 9): KdsResponse {
  const encoded = encodeUpward(ingress(zone), { descriptor: KIND, zone, stamps: true });
  assert.ok(encoded.ok);
  return {
    typeUrl: "ZoneIngress",
    nonce: "1",
    systemVersion: `${zone}:${revision}`,
    controlPlane: zone,
    resources: [encoded.item],
    removed: [],
  };
}

const ASK = {
  typeUrl: "ZoneIngress",
  nonce: "",
  nodeId: "west",
  metadata: ownMetadata({ version: "1", instance: "w", config: "", link: "told" }),
  subscribe: ["*"],
  initialVersions: {},
};

Deno.test("those that global named are trusted, and nobody else", () => {
  const east = start("east", [reach("west"), { ...reach("north"), labels: {} }, reach("east")]);
  const [trust] = east.commands();
  assert.ok(trust?.do === "trust");
  assert.deepEqual(trust.peers.map(({ zone }) => zone), ["west"]);
  east.change(false, [], [reach("west")]);
  assert.deepEqual(east.commands(), [{ do: "trust", peers: [] }]);
});

Deno.test("others are dialled when global has been gone for a while, by the first name first", () => {
  const middle = start("middle", [reach("east"), reach("west"), reach("nowhere", "")]);
  middle.tell({ tag: "global_lost" });
  assert.deepEqual(middle.timers(), [["alone", 2_500]]);
  middle.tell({ tag: "alone_due" });
  assert.deepEqual(middle.timers(), [
    ["dial east", 2_000],
    ["dial west", 500],
    ["dial nowhere", 500],
  ]);
  middle.tell({ tag: "dial_due", peer: "nowhere" });
  assert.deepEqual(middle.commands(), [], "who cannot be dialled dials itself");
  middle.tell({ tag: "dial_due", peer: "west" });
  const [dial] = middle.commands();
  assert.ok(dial?.do === "dial" && dial.host === "west.example");
  middle.tell({ tag: "link_closed", link: dial.link, reason: "refused" });
  assert.deepEqual(middle.timers(), [["dial west", 250]]);
  assert.equal(middle.status().peers.find(({ zone }) => zone === "west")?.lastError, "refused");
});

Deno.test("a global that is back in time is all that is heard", () => {
  const east = start("east", [reach("west")]);
  east.tell({ tag: "global_lost" });
  east.tell({ tag: "global_followed" });
  east.tell({ tag: "alone_due" });
  assert.deepEqual([...east.timers(), ...east.commands()], []);
});

Deno.test("another zone's word is acknowledged when it is durable, with how far it goes", () => {
  const east = start("east", [reach("west")]);
  const link = east.alone("west");
  const [question] = east.commands();
  assert.ok(question?.do === "send" && "request" in question);
  east.tell({ tag: "link_response", link, response: responseOf("west") });
  assert.deepEqual(east.commands(), []);
  const [write] = east.writes();
  assert.deepEqual(write!.ops.map(({ resource }) => resource.type), ["ZoneIngress", "Config"]);
  assert.equal(write!.ops[1]!.resource.name, "ursa-ahead.west");
  assert.deepEqual(write!.ops[1]!.resource.spec, { config: '{"revision":9}' });
  east.tell({
    tag: "written",
    ref: write!.reply.ref,
    value: { ok: true, revision: 10, changes: [] },
  });
  const [ack] = east.commands();
  assert.ok(ack?.do === "send" && "request" in ack && ack.request.error === undefined);
});

Deno.test("a zone that speaks for another is refused, and that is shown", () => {
  const east = start("east", [reach("west"), reach("north")]);
  const link = east.alone("west");
  east.tell({ tag: "link_response", link, response: responseOf("north") });
  assert.deepEqual(east.writes(), []);
  const [nack] = east.commands();
  assert.ok(nack?.do === "send" && "request" in nack);
  assert.match(nack.request.error ?? "", /speaks for zone "north", but "west" says it/);
  assert.match(east.status().peers[0]!.rejected ?? "", /speaks for zone "north"/);
});

Deno.test("who has global tells those who have not, and hears nobody", () => {
  const east = start("east", [reach("west"), ingress("east")]);
  east.tell({ tag: "global_followed" });
  east.tell({ tag: "link_opened", link: "w1", peer: "west", dialled: false, run: null });
  assert.deepEqual(east.commands(), []);
  east.tell({ tag: "link_request", link: "w1", request: ASK });
  const [response] = east.commands();
  assert.ok(response?.do === "send" && "response" in response);
  assert.equal(response.response.systemVersion, "east:9");
  assert.equal(response.response.resources.length, 1);
  east.tell({ tag: "link_response", link: "w1", response: responseOf("west") });
  assert.deepEqual([...east.writes(), ...east.commands()], []);
});

Deno.test("what another zone refused is sent to it again, until it takes it", () => {
  const east = start("east", [reach("west"), ingress("east")]);
  east.tell({ tag: "link_opened", link: "w1", peer: "west", dialled: false, run: null });
  east.tell({ tag: "link_request", link: "w1", request: ASK });
  const answer = (error?: string) => {
    const [told] = east.commands();
    assert.ok(told?.do === "send" && "response" in told && told.response.resources.length === 1);
    const { nonce } = told.response;
    const request = { ...ASK, nonce, subscribe: [], ...(error !== undefined && { error }) };
    east.tell({ tag: "link_request", link: "w1", request });
  };
  answer("it is in the way");
  assert.deepEqual(east.commands(), []);
  const [[name, firstMs]] = east.timers() as [[string, number]];
  assert.equal(name, "resend west ZoneIngress");
  east.tell({ tag: "resend_due", peer: "west", typeUrl: "ZoneIngress" });
  answer("it is in the way");
  const [[, secondMs]] = east.timers() as [[string, number]];
  assert.ok(secondMs > firstMs, "pauses grow");
  east.tell({ tag: "resend_due", peer: "west", typeUrl: "ZoneIngress" });
  answer();
  assert.deepEqual([...east.timers(), ...east.commands()], []);
  east.tell({ tag: "resend_due", peer: "west", typeUrl: "ZoneIngress" });
  assert.deepEqual(east.commands(), []);
});

Deno.test("what was refused is taken when it comes again and nothing is in the way", () => {
  const { name } = parseWireName(responseOf("west").resources[0]!.name);
  const inTheWay = { ...ingress("east"), name };
  const east = start("east", [reach("west"), inTheWay]);
  const link = east.alone("west");
  east.tell({ tag: "link_response", link, response: responseOf("west") });
  const [nack] = east.commands();
  assert.ok(nack?.do === "send" && "request" in nack);
  assert.match(nack.request.error ?? "", /exists already/);
  east.change(false, [], [inTheWay]);
  east.tell({ tag: "link_response", link, response: { ...responseOf("west"), nonce: "2" } });
  const [write] = east.writes();
  const value = { ok: true as const, revision: 10, changes: [] };
  east.tell({ tag: "written", ref: write!.reply.ref, value });
  const [ack] = east.commands();
  assert.ok(ack?.do === "send" && "request" in ack && ack.request.error === undefined);
  assert.equal(east.status().peers[0]!.rejected, null);
});

Deno.test("who needs a link last closes it", () => {
  const east = start("east", [reach("west")]);
  const link = east.alone("west");
  east.tell({ tag: "link_request", link, request: ASK });
  east.tell({ tag: "global_followed" });
  const [thanks] = east.commands();
  assert.ok(thanks?.do === "send" && "request" in thanks);
  assert.deepEqual([thanks.request.nonce, thanks.request.subscribe], ["", []]);
  east.tell({ tag: "link_request", link, request: { ...ASK, subscribe: [] } });
  assert.deepEqual(east.commands().map(({ do: what }) => what), ["close"]);
});

Deno.test("of two links that crossed, both ends keep the one that the first name dialled", () => {
  const east = start("east", [reach("west")]);
  const west = start("west", [reach("east")]);
  const [fromEast, fromWest] = [east.alone("west"), west.alone("east")];
  const closes = (zone: typeof east) =>
    zone.commands().flatMap((what) => what.do === "close" ? [what.link] : []);
  east.tell({ tag: "link_opened", link: "in-1", peer: "west", dialled: false, run: null });
  assert.deepEqual(closes(east), ["in-1"]);
  west.tell({ tag: "link_opened", link: "in-2", peer: "east", dialled: false, run: null });
  assert.deepEqual(closes(west), [fromWest]);
  // Later, a link from there means that the one here is dead.
  east.at.nowMs += 10_000;
  east.tell({ tag: "link_opened", link: "in-3", peer: "west", dialled: false, run: null });
  assert.deepEqual(closes(east), [fromEast]);
});

Deno.test("nobody asks for anything but ingresses", () => {
  const east = start("east", [reach("west")]);
  east.tell({ tag: "link_opened", link: "w1", peer: "west", dialled: false, run: null });
  east.tell({ tag: "link_request", link: "w1", request: { ...ASK, typeUrl: "Secret" } });
  const [close] = east.commands();
  assert.ok(close?.do === "close");
  assert.match(close.reason, /"Secret"/);
});

Deno.test("a link with a zone that was taken out is nobody's", () => {
  const east = start("east", [reach("west")]);
  const link = east.alone("west");
  east.change(false, [], [reach("west")]);
  assert.deepEqual(east.commands(), [{ do: "trust", peers: [] }]);
  east.tell({ tag: "link_response", link, response: responseOf("west") });
  assert.deepEqual([...east.writes(), ...east.commands()], []);
  east.tell({ tag: "link_opened", link: "w2", peer: "west", dialled: false, run: null });
  assert.deepEqual(east.commands().map(({ do: what }) => what), ["close"]);
});
