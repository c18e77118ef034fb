import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import type { EnvoyQuestion } from "../../core/envoy_admin.ts";
import type { JsonObject } from "../../core/resource.ts";
import { newSigningKey } from "../../identity/io/signing_key.ts";
import { issueToken } from "../../identity/tokens/issue.ts";
import { openMemoryStore } from "../../store/memory.ts";
import { until, ZonePeer } from "./kds_peers.ts";
import { onStage, trust } from "./kds_stage.ts";

const INGRESS = { networking: { address: "127.0.0.1", port: 10001 } };

function dataplane(service: string) {
  return {
    mesh: "default",
    spec: {
      networking: {
        address: "127.0.0.1",
        inbound: [{ port: 8080, tags: { "kuma.io/service": service } }],
      },
    },
  };
}

Deno.test("resources travel down, up and across, and a disabled zone's leave the others", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const east = stage.zone("east", port);
    const west = stage.zone("west", port);
    await until(() => east.names("Mesh").includes("default"), "the mesh in east");
    await until(
      () => west.store.get({ type: "Config", mesh: "", name: "kuma-cluster-id" }) !== undefined,
      "the cluster id in west",
    );

    await west.put("Dataplane", "be-1", dataplane("backend"));
    await west.put("ZoneIngress", "ingress", { spec: INGRESS });
    await until(() => global.find("Dataplane", "be-1") !== undefined, "the dataplane on global");
    await until(() => east.find("ZoneIngress", "ingress") !== undefined, "west's ingress in east");
    const copy = east.find("ZoneIngress", "ingress")!;
    assert.equal(copy.name, global.find("ZoneIngress", "ingress")!.name);
    assert.equal(copy.spec["zone"], "west");
    assert.deepEqual(copy.labels, {
      "kuma.io/display-name": "ingress",
      "kuma.io/origin": "global",
      "kuma.io/zone": "west",
    });
    assert.equal(east.names("Dataplane").length, 0, "a zone knows only its own dataplanes");

    await global.put("Zone", "west", { spec: { enabled: false } });
    await until(() => east.names("ZoneIngress").length === 0, "a disabled zone's ingress to leave");
    assert.equal(global.names("ZoneIngress").length, 1);
    await global.put("Zone", "west", { spec: { enabled: true } });
    await until(() => east.names("ZoneIngress").length === 1, "its return");

    await west.delete({ type: "Dataplane", mesh: "default", name: "be-1" });
    await until(() => global.names("Dataplane").length === 0, "the dataplane to leave global");

    const insight = global.find("ZoneInsight", "east")!.spec as unknown as {
      subscriptions: { version: { kumaCp: { version: string } }; config: string }[];
    };
    assert.equal(insight.subscriptions[0]?.version.kumaCp.version, "0.1.0");
    assert.match(insight.subscriptions[0]?.config ?? "", /"type":"memory"/);
  }));

Deno.test("a zone joins with its token, is cut off when it is revoked, and comes back with another", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global("c-1", { auth: "token" });
    const pem = await newSigningKey();
    await global.put("GlobalSecret", "zone-token-signing-key-1", { spec: { data: btoa(pem) } });
    const tokenOf = (zone: string, id: string) =>
      issueToken({
        kind: "zone",
        claims: { zone, scope: ["cp"] },
        validForMs: 60_000,
        nowMs: Date.now(),
        id,
      }, { keyId: "1", key: createPrivateKey(pem) });
    let token = tokenOf("east", "id-1");
    await global.put("Mesh", "default");
    const thief = stage.zone("west", port, () => Promise.resolve(token));
    const east = stage.zone("east", port, () => Promise.resolve(token));
    await until(() => east.names("Mesh").includes("default"), "the mesh in east");
    await until(() => thief.said("global refuses this zone"), "the refusal of west");
    assert.match(
      (await thief.status()).lastError ?? "",
      /^PERMISSION_DENIED: .* is for zone "east", this says it is "west" \(key id "1", id "id-1"/,
    );
    assert.deepEqual(global.names("Zone"), ["east"]);
    assert.equal(
      east.store.get({ type: "GlobalSecret", mesh: "", name: "zone-token-signing-key-1" }),
      undefined,
    );
    const spec = { data: btoa("id-1") };
    await global.put("GlobalSecret", "zone-token-revocations", { spec });
    await until(() => east.said("global refuses this zone"), "the end of east's streams");
    await global.put("Mesh", "later");
    token = tokenOf("east", "id-2");
    await until(() => east.names("Mesh").includes("later"), "east with its new token");
    assert.equal((await east.status()).lastError, null);
    const refusals = thief.logs.filter(({ message }) => message === "global refuses this zone");
    assert.equal(new Set(refusals.map(({ fields }) => fields["reason"])).size, refusals.length);
  }));

Deno.test("what a zone sends belongs to the zone of its token, whatever it says itself", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global("c-1", { auth: "token" });
    const pem = await newSigningKey();
    await global.put("GlobalSecret", "zone-token-signing-key-1", { spec: { data: btoa(pem) } });
    await global.put("Mesh", "default");
    const tokenOf = (zone: string) =>
      issueToken({
        kind: "zone",
        claims: { zone, scope: ["cp"] },
        validForMs: 60_000,
        nowMs: Date.now(),
        id: zone,
      }, { keyId: "1", key: createPrivateKey(pem) });
    const west = stage.zone("west", port, () => Promise.resolve(tokenOf("west")));
    await west.put("ZoneIngress", "gate", { spec: INGRESS });
    await until(() => global.find("ZoneIngress", "gate") !== undefined, "west's ingress");
    const honest = global.find("ZoneIngress", "gate")!;

    const east = stage.zone("east", port, () => Promise.resolve(tokenOf("east")));
    const labels = { "kuma.io/zone": "west", "kuma.io/display-name": "gate" };
    const networking = { address: "10.6.6.6", port: 10001 };
    await east.put("ZoneIngress", "gate", { labels, spec: { zone: "west", networking } });
    await until(
      () => global.names("ZoneIngress").length === 2,
      "an ingress of east beside that of west",
    );
    const claimed = global.store.list("ZoneIngress").find(({ name }) => name !== honest.name)!;
    assert.deepEqual([claimed.spec["zone"], claimed.labels["kuma.io/zone"]], ["east", "east"]);
    assert.deepEqual(global.find("ZoneIngress", "gate") && global.store.get(honest), honest);
    await east.stop();
    await until(() => west.find("ZoneIngress", "gate") !== undefined, "west to keep its own");
  }));

Deno.test("of two control planes with one name the younger has it, and both sides say so", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const east = async (instance: string, startedAtMs: number) => {
      const dir = `${stage.dir}/${instance}`;
      await Deno.mkdir(dir);
      const url = `grpcs://127.0.0.1:${port}`;
      const run = { instance, startedAtMs };
      const zone = new ZonePeer("east", { url, ca: trust.cert, dir, run });
      stage.onEnd.push(() => zone.stop());
      return zone;
    };
    const older = await east("older", 1_000);
    await until(() => older.names("Mesh").includes("default"), "the mesh in the older one");
    const younger = await east("younger", 2_000);
    await until(() => younger.names("Mesh").includes("default"), "the mesh in the younger one");
    await until(() => older.said("global refuses this zone"), "the refusal of the older one");
    assert.match(
      (await older.status()).lastError ?? "",
      /^FAILED_PRECONDITION: zone "east" is taken by control plane younger, .*stop one of them/,
    );
    const said = () =>
      global.logs.filter(({ message }) => message === "two control planes use one zone name");
    assert.equal(said().length, 1);
    await until(() => {
      const { ursa } = global.find("ZoneInsight", "east")?.spec ?? {};
      return JSON.stringify(ursa ?? {}).includes("is taken by control plane younger");
    }, "the alarm in the insight");
    assert.equal((await younger.status()).lastError, null);
  }));

Deno.test("global asks a zone about its Envoys, and hears the zone's own words", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    const east = stage.zone("east", port);
    const streams = () => global.find("ZoneInsight", "east")?.spec["kdsStreams"] ?? {};
    await until(() => Object.keys(streams()).length === 5, "all streams of the zone");
    assert.deepEqual(
      Object.keys(streams()).sort(),
      ["clusters", "configDump", "globalToZone", "stats", "zoneToGlobal"],
    );
    const ask = (id: string, question: EnvoyQuestion) =>
      global.askEnvoy("east", {
        id,
        proxy: { type: "Dataplane", mesh: "default", name: "web-1" },
        question,
      });
    const asked: unknown[] = [];
    east.admin = (proxy, question) => {
      asked.push([proxy.name, question]);
      return Promise.resolve({ ok: true, body: new TextEncoder().encode(question.kind) });
    };
    const questions: readonly EnvoyQuestion[] = [
      { kind: "xds", includeEds: true },
      { kind: "stats", format: "json", usedOnly: true },
      { kind: "clusters", format: "text" },
    ];
    for (const question of questions) {
      const said = await ask(question.kind, question);
      assert.equal(said.ok && new TextDecoder().decode(said.body), question.kind);
    }
    assert.deepEqual(asked, questions.map((question) => ["web-1", question]));

    // More than a message holds: an answer in words, and nothing else ends by it.
    east.admin = () => Promise.resolve({ ok: true, body: new Uint8Array(11 * 1024 * 1024) });
    const long = await ask("long", { kind: "xds", includeEds: false });
    assert.match(long.ok ? "" : long.detail, /more than one message of KDS holds/);
    assert.equal((await east.status()).connected, true);
    assert.ok(!east.said("connection to global lost"));
  }));

Deno.test("a zone keeps a record of its sessions with global, also of those that are over", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const east = stage.zone("east", port);
    const subscriptions = () =>
      (east.find("ZoneInsight", "east")?.spec["subscriptions"] ?? []) as {
        globalInstanceId: string;
        zoneInstanceId: string;
        disconnectTime?: string;
        version: JsonObject;
      }[];
    await until(() => subscriptions().length === 1, "the session");
    const [open] = subscriptions();
    assert.deepEqual([open!.globalInstanceId, open!.zoneInstanceId], ["g-1", "east-1"]);
    assert.deepEqual(open!.version["kumaCp"], {
      version: "0.1.0",
      gitTag: "",
      gitCommit: "",
      buildDate: "",
      kumaCpGlobalCompatible: true,
    });
    await global.stop();
    await until(() => subscriptions()[0]?.disconnectTime !== undefined, "its end");
  }));

Deno.test("a zone survives its global being stopped 20 times, and catches up each time", () =>
  onStage(async (stage) => {
    const store = openMemoryStore();
    let { global, port } = await stage.global("c-1", { store });
    await global.put("Mesh", "default");
    const east = stage.zone("east", port);
    await until(() => east.names("Mesh").includes("default"), "the first mesh");
    for (let round = 1; round <= 20; round++) {
      await global.stop();
      await east.put("Dataplane", `be-${round}`, dataplane("backend"));
      ({ global, port } = await stage.global("c-2", { store, port }));
      await global.put("Mesh", `m-${round}`);
      await until(() => east.names("Mesh").includes(`m-${round}`), `mesh ${round}`);
      await until(() => global.names("Dataplane").length === round, `dataplane ${round}`);
    }
    assert.equal((await east.status()).held, null);
  }));

Deno.test("another global deletes and overwrites nothing; the old one back ends it", () =>
  onStage(async (stage) => {
    const store = openMemoryStore();
    const first = await stage.global("c-1", { store });
    await first.global.put("Mesh", "default");
    await first.global.put("Mesh", "shop");
    const east = stage.zone("east", first.port);
    await until(() => east.names("Mesh").length === 2, "both meshes");
    await first.global.stop();

    const stranger = await stage.global("c-9", { port: first.port });
    await stranger.global.put("Mesh", "default", { spec: { skipCreatingInitialPolicies: ["*"] } });
    await stranger.global.put("Mesh", "new");
    await until(
      () => east.said("another global: nothing is deleted or overwritten for it"),
      "the zone to say why",
    );
    await until(() => stranger.global.said("zone rejected resources"), "global to hear why");
    await until(() => east.names("Mesh").includes("new"), "what is new");
    assert.deepEqual(east.names("Mesh"), ["default", "new", "shop"]);
    assert.deepEqual(east.find("Mesh", "default")!.spec, {});
    assert.match((await east.status()).held ?? "", /belongs to global c-1, not to c-9/);
    await stranger.global.stop();

    const { global } = await stage.global("c-1", { store, port: first.port });
    await until(() => east.names("Mesh").length === 2, "what the stranger added to leave");
    assert.deepEqual(east.names("Mesh"), ["default", "shop"]);
    assert.equal((await east.status()).held, null);
    assert.ok(east.said("the zone's own global is back"));
    assert.ok(global.names("Zone").includes("east"));
  }));

Deno.test("accept-global makes the other global the right one", () =>
  onStage(async (stage) => {
    const first = await stage.global("c-1");
    await first.global.put("Mesh", "default");
    await first.global.put("Mesh", "shop");
    const east = stage.zone("east", first.port);
    await until(() => east.names("Mesh").length === 2, "both meshes");
    assert.equal((await east.acceptGlobal()).accepted, false);
    await first.global.stop();
    const second = await stage.global("c-2", { port: first.port });
    await second.global.put("Mesh", "default");
    await until(
      () => east.said("another global: nothing is deleted or overwritten for it"),
      "the zone to say why",
    );
    const answer = await east.acceptGlobal();
    assert.deepEqual(answer.accepted, true, answer.message);
    await until(() => east.names("Mesh").length === 1, "the other mesh to leave");
    assert.equal((await east.status()).clusterId, "c-2");
  }));

Deno.test("a zone that does not trust global's certificate says why, and goes on trying", () =>
  onStage(async (stage) => {
    const { port } = await stage.global();
    const zone = new ZonePeer("east", {
      url: `grpcs://127.0.0.1:${port}`,
      ca: null,
      dir: stage.dir,
    });
    stage.onEnd.push(() => zone.stop());
    await until(() => zone.said("connection to global lost"), "the refusal");
    const { lastError, connected } = await zone.status();
    assert.match(lastError ?? "", /self.signed|unable to verify|certificate/i);
    assert.equal(connected, false);
  }));

Deno.test("a second zone of the same name takes over, and both sides say so", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const one = stage.zone("east", port);
    await until(() => one.names("Mesh").length === 1, "the first east");
    const dir = await Deno.makeTempDir({ prefix: "ursa-kds-" });
    const two = new ZonePeer("east", {
      url: `grpcs://127.0.0.1:${port}`,
      ca: trust.cert,
      dir,
    });
    stage.onEnd.push(async () => {
      await two.stop();
      await Deno.remove(dir, { recursive: true });
    });
    await until(() => two.names("Mesh").length === 1, "the second east");
    await until(() => global.said("zone stream superseded by a newer one"), "global to say so");
    await until(() => one.said("connection to global lost"), "the first to hear it");
  }));

Deno.test("a deleted zone takes along what it sent; if it is alive, it registers again", () =>
  onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const east = stage.zone("east", port);
    const west = stage.zone("west", port);
    await west.put("ZoneIngress", "ingress", { spec: INGRESS });
    await until(() => east.names("ZoneIngress").length === 1, "west's ingress in east");
    await west.stop();
    await until(
      () => JSON.stringify(global.find("ZoneInsight", "west")?.spec).includes("disconnectTime"),
      "west to be offline",
    );
    await global.delete({ type: "Zone", mesh: "", name: "west" });
    await until(() => east.names("ZoneIngress").length === 0, "west's ingress to leave east");
    assert.deepEqual(global.names("ZoneInsight"), ["east"]);

    await global.delete({ type: "Zone", mesh: "", name: "east" });
    await until(() => global.names("Zone").includes("east"), "east to register again");
  }));
