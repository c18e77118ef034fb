// Links between zones over real TLS: who comes in, who does not, and what passes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect as connectPlain, createServer, type Socket } from "node:net";
import { connect } from "node:tls";
import { until } from "../../cli/demo/until.ts";
import { hub } from "../../actors/hub/hub.ts";
import { HUB } from "../../actors/hub/messages.ts";
import { PEERS, type PeersStatus } from "../../actors/peers/messages.ts";
import { peers } from "../../actors/peers/peers.ts";
import { one } from "../../actors/runtime/tree.ts";
import { KINDS } from "../../core/kinds.ts";
import { createLinkCertificate } from "../../identity/io/authority.ts";
import { openZoneLinks, type ZoneLinks } from "../../kds/io/zone_links.ts";
import { encodeUpward } from "../../kds/offers.ts";
import type { LinkCommand, LinkEvent } from "../../kds/peer_wire.ts";
import type { KdsResponse } from "../../kds/wire.ts";
import { linkHost, writeLink } from "../../kds/zone_link.ts";
import { openMemoryStore } from "../../store/memory.ts";
import { hubArgs, Peer } from "./kds_peers.ts";

const LIFE = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
const pairOf = (zone: string) => createLinkCertificate(linkHost(zone), LIFE);

interface End {
  readonly links: ZoneLinks;
  readonly pair: { readonly cert: string; readonly key: string };
  readonly events: LinkEvent[];
  readonly complaints: string[];
  /** What it has no room for. */
  readonly full: Set<LinkEvent["tag"]>;
  trusts(...zones: readonly (readonly [string, { readonly cert: string }])[]): void;
  dials(zone: string, to: End, link?: string): void;
  saw<Tag extends LinkEvent["tag"]>(tag: Tag): Promise<LinkEvent & { readonly tag: Tag }>;
}

interface Given {
  readonly pair?: End["pair"];
  readonly stallMsMax?: number;
}

async function onStage(
  play: (open: (zone: string, given?: Given) => Promise<End>) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ursa-links-" });
  const ends: End[] = [];
  try {
    await play(async (zone, { pair = pairOf(zone), ...given } = {}) => {
      const events: LinkEvent[] = [];
      const complaints: string[] = [];
      const full: End["full"] = new Set();
      const n = ends.length;
      const links = await openZoneLinks({
        hostname: "127.0.0.1",
        port: 0,
        pair,
        run: { instance: `${zone}-1`, startedAtMs: 1 },
        socketPath: (serial) => `${dir}/${n}-${serial}.sock`,
        deliver: (event) => !full.has(event.tag) && events.push(event) > 0,
        ...given,
        onPeerError: ({ message }) => complaints.push(message),
      });
      const end: End = {
        links,
        pair,
        events,
        complaints,
        full,
        trusts: (...zones) =>
          links.command({
            do: "trust",
            peers: zones.map(([zone, { cert }]) => ({ zone, certificate: cert })),
          }),
        dials: (peer, to, link = "l-1") => {
          const { hostname: host, port } = to.links.address;
          links.command({ do: "dial", link, peer, host, port });
        },
        saw: async (tag) => {
          await until(
            `${tag} in ${zone}`,
            () => events.some((event) => event.tag === tag) || JSON.stringify(events),
          );
          const at = events.findIndex((event) => event.tag === tag);
          return events.splice(at, 1)[0] as never;
        },
      };
      ends.push(end);
      return end;
    });
  } finally {
    for (const { links } of ends) await links.close();
    await Deno.remove(dir, { recursive: true });
  }
}

const REQUEST = {
  typeUrl: "ZoneIngress",
  nonce: "",
  nodeId: "east",
  subscribe: ["*"],
  initialVersions: {},
};
const RESPONSE = {
  typeUrl: "ZoneIngress",
  nonce: "1",
  systemVersion: "west:1",
  controlPlane: "west",
  resources: [],
  removed: ["gate."],
};

Deno.test("two zones that were told of each other are linked, and both ends ask and answer", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    east.trusts(["west", west.pair]);
    west.trusts(["east", east.pair]);
    east.dials("west", west);
    assert.deepEqual(await east.saw("link_opened"), {
      tag: "link_opened",
      link: "l-1",
      peer: "west",
      dialled: true,
      run: null,
    });
    const { link, ...accepted } = await west.saw("link_opened");
    assert.deepEqual(accepted, {
      tag: "link_opened",
      peer: "east",
      dialled: false,
      run: { instance: "east-1", startedAtMs: 1 },
    });
    for (const [asks, tells, at] of [[east, west, "l-1"], [west, east, link]] as const) {
      asks.links.command({ do: "send", link: at, request: REQUEST });
      const { request, link: to } = await tells.saw("link_request");
      assert.deepEqual(request, REQUEST);
      tells.links.command({ do: "send", link: to, response: RESPONSE });
      assert.deepEqual((await asks.saw("link_response")).response, RESPONSE);
    }
    west.links.command({ do: "close", link, reason: "enough" });
    assert.equal((await west.saw("link_closed")).reason, "enough");
    await east.saw("link_closed");
    assert.deepEqual([east, west].map(({ links }) => links.counters()["links_open"]), [0, 0]);
  }));

Deno.test("a zone that nobody named does not come in", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    east.trusts(["west", west.pair]);
    east.dials("west", west);
    await east.saw("link_closed");
    await until("stranger", () => west.links.counters()["strangers"] === 1 || "none was counted");
    assert.deepEqual(west.events, []);
  }));

Deno.test("a zone that shows another certificate than the one that was told is no peer", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    const former = pairOf("west");
    // East was told another certificate than west has.
    east.trusts(["west", former]);
    west.trusts(["east", east.pair]);
    east.dials("west", west);
    assert.match((await east.saw("link_closed")).reason, /certificate/);
    assert.deepEqual(west.events, []);
    // West was told another one than east has.
    east.trusts(["west", west.pair]);
    west.trusts(["east", pairOf("east")]);
    east.dials("west", west, "l-2");
    await east.saw("link_closed");
    await until("complaint", () => west.complaints.length > 0 || "west says nothing");
    assert.deepEqual(west.events, []);
  }));

Deno.test("a zone that global names by another zone's certificate is no peer", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    // As if north had announced what is west's.
    east.trusts(["north", west.pair]);
    assert.match(east.complaints.join(), /a certificate of somebody else/);
    west.trusts(["east", east.pair]);
    west.dials("east", east);
    west.trusts(["east", east.pair]);
    await west.saw("link_closed");
    assert.deepEqual(east.events, []);
  }));

Deno.test("a link ends when global names the zone no more, also with a new certificate", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    for (const now of [[], [["west", pairOf("west")]]] as const) {
      east.trusts(["west", west.pair]);
      west.trusts(["east", east.pair]);
      east.dials("west", west);
      await east.saw("link_opened");
      await west.saw("link_opened");
      east.trusts(...now);
      assert.match((await east.saw("link_closed")).reason, /global names this zone/);
      await west.saw("link_closed");
    }
  }));

Deno.test("a link that nobody has room to hear of is ended, and who dialled it is told", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    east.trusts(["west", west.pair]);
    west.trusts(["east", east.pair]);
    west.full.add("link_opened");
    east.dials("west", west);
    await east.saw("link_closed");
    await until("no link", () => west.links.counters()["links_open"] === 0 || "west keeps it");
    assert.deepEqual(west.events, []);
  }));

Deno.test("the end of a link is told again until there is room to hear of it", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east"), await open("west")];
    east.trusts(["west", west.pair]);
    west.trusts(["east", east.pair]);
    east.dials("west", west);
    await east.saw("link_opened");
    const { link } = await west.saw("link_opened");
    east.full.add("link_closed");
    west.links.command({ do: "close", link, reason: "enough" });
    await until("no link", () => east.links.counters()["links_open"] === 0 || "east keeps it");
    assert.deepEqual(east.events, []);
    east.full.delete("link_closed");
    assert.equal((await east.saw("link_closed")).link, "l-1");
    assert.deepEqual(east.events, []);
  }));

Deno.test("a link ends when the other zone takes nothing of what it is sent", () =>
  onStage(async (open) => {
    const [east, west] = [await open("east", { stallMsMax: 400 }), await open("west")];
    const deaf = await deafBefore(west.links.address.port, 100_000);
    try {
      east.trusts(["west", west.pair]);
      west.trusts(["east", east.pair]);
      const links = { ...west.links, address: { hostname: "127.0.0.1", port: deaf.port } };
      east.dials("west", { ...west, links });
      const { link } = await east.saw("link_opened");
      const item = { name: "big.", version: "1", bytes: new Uint8Array(1_000_000) };
      for (let n = 0; n < 24; n++) {
        east.links.command({ do: "send", link, response: { ...RESPONSE, resources: [item] } });
      }
      assert.match((await east.saw("link_closed")).reason, /takes nothing/);
      assert.equal(east.links.counters()["stalled"], 1);
    } finally {
      deaf.close();
    }
  }));

/** Passes on so much; then nothing more that it is sent is read. */
async function deafBefore(port: number, bytes: number) {
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connectPlain(port, "127.0.0.1");
    sockets.push(near, far);
    let heard = 0;
    far.pipe(near);
    near.on("data", (chunk: Uint8Array) => {
      far.write(chunk);
      heard += chunk.length;
      if (heard > bytes) near.pause();
    });
    near.on("error", () => {});
    far.on("error", () => {});
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      proxy.close();
    },
  };
}

Deno.test("without a certificate nobody gets as far as a stream", () =>
  onStage(async (open) => {
    const west = await open("west");
    const { hostname: host, port } = west.links.address;
    const socket = connect({
      host,
      port,
      servername: linkHost("west"),
      ca: [west.pair.cert],
      ALPNProtocols: ["h2"],
    });
    await new Promise<void>((resolve) => {
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
    await until("stranger", () => west.links.counters()["strangers"] === 1 || "none was counted");
    assert.deepEqual(west.events, []);
  }));

/** A zone with its hub and its links, whose global is gone. */
class LoneZone extends Peer {
  readonly #links: ZoneLinks;

  constructor(name: string, links: ZoneLinks) {
    const store = openMemoryStore();
    super(store, {
      tree: [
        one(HUB, hub, hubArgs(store)),
        one(PEERS, peers, { zone: name, descriptors: KINDS, version: "1", instance: "lone-1" }),
      ],
      ports: { links: (what) => links.command(what as LinkCommand) },
    });
    this.#links = links;
  }

  async knows(zone: string, { pair, links }: End): Promise<void> {
    const { hostname: host, port } = links.address;
    const config = writeLink(zone, { host, port, certificate: pair.cert });
    await this.put("Config", config.name, { ...config, labels: { "kuma.io/origin": "global" } });
  }

  loseGlobal(): void {
    this.system.send(PEERS, { tag: "global_lost" });
  }

  status(): Promise<PeersStatus> {
    return this.ask(PEERS, "describe");
  }

  async stop(): Promise<void> {
    await this.#links.close();
    this.system.stop();
  }
}

function ingressOf(zone: string): KdsResponse {
  const descriptor = KINDS.find(({ name }) => name === "ZoneIngress")!;
  const spec = { zone, networking: { address: "127.0.0.1", port: 10_001 } };
  const times = { version: 7, creationTime: "", modificationTime: "" };
  const own = { type: "ZoneIngress", mesh: "", name: "gate", labels: {}, spec, ...times };
  const encoded = encodeUpward(own, { descriptor, zone, stamps: true });
  assert.ok(encoded.ok);
  return { ...RESPONSE, resources: [encoded.item], removed: [] };
}

Deno.test("a zone takes what another says of itself, and refuses what it says of a third", () =>
  onStage(async (open) => {
    const west = await open("west");
    let hear: (event: LinkEvent) => boolean = () => false;
    const pair = pairOf("east");
    const dir = await Deno.makeTempDir({ prefix: "ursa-lone-" });
    const links = await openZoneLinks({
      hostname: "127.0.0.1",
      port: 0,
      pair,
      run: { instance: "east-1", startedAtMs: 1 },
      socketPath: (serial) => `${dir}/${serial}.sock`,
      deliver: (event) => hear(event),
    });
    const east = new LoneZone("east", links);
    hear = (event) => east.system.send(PEERS, event);
    try {
      west.trusts(["east", { cert: pair.cert }]);
      await east.knows("west", west);
      east.loseGlobal();
      const { link } = await west.saw("link_opened");
      assert.equal((await west.saw("link_request")).request.typeUrl, "ZoneIngress");
      const tell = async (response: KdsResponse) => {
        west.links.command({ do: "send", link, response });
        return (await west.saw("link_request")).request;
      };
      assert.equal((await tell(ingressOf("west"))).error, undefined);
      assert.deepEqual(east.names("ZoneIngress").length, 1);
      const { error = "" } = await tell({ ...ingressOf("north"), nonce: "2" });
      assert.match(error, /speaks for zone "north", but "west" says it/);
      assert.deepEqual(east.names("ZoneIngress").length, 1);
      const [status] = (await east.status()).peers;
      assert.match(status?.rejected ?? "", /speaks for zone "north"/);
      assert.ok(east.said("what another zone told was rejected"));
    } finally {
      await east.stop();
      await Deno.remove(dir, { recursive: true });
    }
  }));
