// What each control plane holds in the end, written on any of them: a global and two zones.

import assert from "node:assert/strict";
import type { Draft, JsonObject, Resource } from "../../core/resource.ts";
import { type GlobalPeer, until, type ZonePeer } from "./kds_peers.ts";
import { onStage } from "./kds_stage.ts";

interface Mesh {
  readonly global: GlobalPeer;
  readonly one: ZonePeer;
  readonly two: ZonePeer;
}

function federated(play: (mesh: Mesh) => Promise<void>): Promise<void> {
  return onStage(async (stage) => {
    const { global, port } = await stage.global();
    await global.put("Mesh", "default");
    const [one, two] = [stage.zone("zone-1", port), stage.zone("zone-2", port)];
    await until(() => [one, two].every((zone) => zone.names("Mesh").length === 1), "the mesh");
    await play({ global, one, two });
  });
}

type Part = Partial<Draft>;
const at = (peer: GlobalPeer | ZonePeer, type: string, name: string) =>
  peer.store.get({ type, mesh: "default", name });

async function there(
  peer: GlobalPeer | ZonePeer,
  type: string,
  name: string,
  condition: (resource: Resource) => boolean = () => true,
): Promise<Resource> {
  await until(() => {
    const found = at(peer, type, name);
    return found !== undefined && condition(found);
  }, `${type} ${name}`);
  return at(peer, type, name)!;
}

/** All that was on its way has arrived when something written after it has. */
async function settled({ global, one, two }: Mesh, round: string): Promise<void> {
  await global.put("Mesh", round);
  await until(() => [one, two].every((zone) => zone.names("Mesh").includes(round)), round);
  for (const zone of [one, two]) {
    await zone.put("ZoneEgress", round, { spec: { networking: { address: "127.0.0.1" } } });
  }
  await until(
    () =>
      global.store.list("ZoneEgress").filter(({ labels }) =>
        labels["kuma.io/display-name"] === round
      ).length === 2,
    round,
  );
}

Deno.test("a mesh has its name everywhere, and its zones know where it is from", () =>
  federated(async (mesh) => {
    const { global, one, two } = mesh;
    for (const zone of [one, two]) {
      const copy = zone.store.get({ type: "Mesh", mesh: "", name: "default" })!;
      assert.deepEqual(copy.labels, { "kuma.io/origin": "global" });
    }
    await global.put("Mesh", "default", { spec: { skipCreatingInitialPolicies: ["*"] } });
    await until(
      () =>
        [one, two].every((zone) =>
          zone.find("Mesh", "default")?.spec["skipCreatingInitialPolicies"] !== undefined
        ),
      "the edit",
    );
    await global.delete({ type: "Mesh", mesh: "", name: "default" });
    await until(() => [one, two].every((zone) => zone.names("Mesh").length === 0), "its end");
  }));

const service = (port: number): Part => ({
  mesh: "default",
  labels: { "kuma.io/mesh": "default" },
  spec: { ports: [{ port }] },
  status: { vips: [{ ip: "241.0.0.1" }] },
});

Deno.test("a MeshService is one for all: its status goes up, and is found out anew across", () =>
  federated(async (mesh) => {
    const { global, one, two } = mesh;
    const name = "redis-zone-1-2v6wfvvcvbc9f55d";
    await one.put("MeshService", "redis-zone-1", service(6379));
    const labels = {
      "kuma.io/display-name": "redis-zone-1",
      "kuma.io/mesh": "default",
      "kuma.io/zone": "zone-1",
    };
    const onGlobal = await there(global, "MeshService", name);
    assert.deepEqual(onGlobal.labels, { ...labels, "kuma.io/origin": "zone" });
    assert.deepEqual(onGlobal.status, { vips: [{ ip: "241.0.0.1" }] });
    const across = await there(two, "MeshService", name);
    assert.deepEqual(across.labels, { ...labels, "kuma.io/origin": "global" });
    assert.equal(across.status, undefined);

    const ours = { vips: [{ ip: "251.0.0.9" }] };
    await two.put("MeshService", name, { ...across, status: ours });
    await one.put("MeshService", "redis-zone-1", service(6380));
    const changed = await there(
      two,
      "MeshService",
      name,
      ({ spec }) => JSON.stringify(spec).includes("6380"),
    );
    assert.deepEqual(changed.status, ours, "what this zone found out stays");

    // The same name in another zone is another service.
    await two.put("MeshService", "redis-zone-1", service(1));
    await until(() => global.names("MeshService").length === 2, "both");
    await settled(mesh, "round-1");
    assert.deepEqual(one.names("MeshService").filter((found) => found === name), []);
    assert.equal(one.names("MeshService").length, 2, "its own, and that of zone-2");

    await one.delete({ type: "MeshService", mesh: "default", name: "redis-zone-1" });
    await until(() => at(two, "MeshService", name) === undefined, "its end across");
  }));

const timeout = (part: JsonObject = {}, labels: Readonly<Record<string, string>> = {}): Part => ({
  mesh: "default",
  labels,
  spec: { targetRef: { kind: "Mesh" }, to: [{ targetRef: { kind: "Mesh" } }], ...part },
});

Deno.test("policies go down, up for all to see, and across when a producer wrote them", () =>
  federated(async (mesh) => {
    const { global, one, two } = mesh;
    await global.put("MeshTimeout", "default-timeout-global", timeout());
    await one.put("MeshTimeout", "default-timeout-zone-1", timeout());
    const down = "default-timeout-global-54dbd4c66zwbcf9c";
    for (const zone of [one, two]) {
      assert.deepEqual((await there(zone, "MeshTimeout", down)).labels, {
        "kuma.io/display-name": "default-timeout-global",
        "kuma.io/origin": "global",
      });
    }
    const up = await there(global, "MeshTimeout", "default-timeout-zone-1-c58w24w4vw27f454");
    assert.equal(up.labels["kuma.io/zone"], "zone-1");

    const producer = { "kuma.io/policy-role": "producer", "k8s.kuma.io/namespace": "shop" };
    const own = { to: [{ targetRef: { kind: "MeshService", name: "api" } }] };
    await one.put("MeshTimeout", "of-producer", timeout(own, producer));
    await until(() => two.find("MeshTimeout", "of-producer") !== undefined, "it across");
    assert.equal(
      two.find("MeshTimeout", "of-producer")!.name,
      global.find("MeshTimeout", "of-producer")!.name,
    );
    await settled(mesh, "round-1");
    assert.equal(two.find("MeshTimeout", "default-timeout-zone-1"), undefined);

    const callers = { to: [{ targetRef: { kind: "MeshService", name: "api", namespace: "b" } }] };
    await one.put("MeshTimeout", "of-producer", timeout(callers, producer));
    await until(() => two.find("MeshTimeout", "of-producer") === undefined, "its withdrawal");
    assert.ok(global.find("MeshTimeout", "of-producer"), "global sees it all the same");
  }));

Deno.test("what is marked as not to be synchronised stays where it is, and leaves where it was", () =>
  federated(async (mesh) => {
    const { global, one, two } = mesh;
    const off = { "kuma.io/kds-sync": "disabled" };
    await global.put("MeshTimeout", "at-global", timeout({}, off));
    await one.put("MeshTimeout", "in-zone", timeout({}, off));
    await settled(mesh, "round-1");
    assert.equal(one.find("MeshTimeout", "at-global"), undefined);
    assert.equal(global.find("MeshTimeout", "in-zone"), undefined);
    await global.put("MeshTimeout", "at-global", timeout());
    await one.put("MeshTimeout", "in-zone", timeout());
    await until(() => two.find("MeshTimeout", "at-global") !== undefined, "it in the zones");
    await until(() => global.find("MeshTimeout", "in-zone") !== undefined, "it at global");
    await global.put("MeshTimeout", "at-global", timeout({}, off));
    await one.put("MeshTimeout", "in-zone", timeout({}, off));
    await until(() => two.find("MeshTimeout", "at-global") === undefined, "its leave");
    await until(() => global.find("MeshTimeout", "in-zone") === undefined, "its leave");
    assert.ok(one.find("MeshTimeout", "in-zone"), "at home it stays");
  }));
