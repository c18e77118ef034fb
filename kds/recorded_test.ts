// What kuma-cp 2.13.10 said to us, as a zone and as global, once more: testdata/ has its bytes.
// Secrets are left out, and of the zone's configuration all that we do not read.

import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";
import type { Change, Op } from "../store/store.ts";
import { decodeResource, encodeResource } from "./codec.ts";
import { globalToZone, zoneToGlobal } from "./direction.ts";
import { decodeRequest, decodeResponse, encodeRequest } from "./envelope.ts";
import { emptyImage, type Image } from "./image.ts";
import {
  globalRules,
  type Intaken,
  onWritten,
  openReceiver,
  type Rules,
  takeResponse,
  zoneRules,
} from "./receiver.ts";
import { capacityOf, type KdsResponse, peerInfo } from "./wire.ts";

interface Recording {
  readonly subscribed: readonly string[];
  readonly requests: readonly Uint8Array[];
  readonly responses: readonly KdsResponse[];
}

function recording(who: "zone" | "global"): Recording {
  const file = new URL(`./testdata/kuma_cp_${who}.jsonl`, import.meta.url);
  const [head, ...lines] = Deno.readTextFileSync(file).trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  const bytesOf = (field: string) =>
    lines.flatMap((line) => line[field] ? [Uint8Array.fromBase64(line[field])] : []);
  return {
    subscribed: head.subscribed,
    requests: bytesOf("request"),
    responses: bytesOf("response").map(decodeResponse),
  };
}

/** Policies that have a folder of their own. */
const ELSEWHERE = ["TrafficPermission", "TrafficRoute"];

/** A store that takes everything. */
function intake(rules: Rules, responses: readonly KdsResponse[]): Image {
  const image = emptyImage([...rules.descriptors.values()]);
  const receiver = openReceiver("s", { rules, nodeId: "z" });
  let revision = 0;
  const settle = ({ writes, answer }: Intaken): string | undefined => {
    const [write] = writes;
    if (!write) return answer?.error;
    revision++;
    const changes = write.ops.map((op) => changeOf(op, revision));
    return settle(onWritten(receiver, write.ref, { result: { ok: true, changes }, image }));
  };
  for (const response of responses) {
    if (!rules.descriptors.has(response.typeUrl)) continue;
    const error = settle(takeResponse(receiver, response, { image, hold: null }));
    assert.equal(error, undefined, response.typeUrl);
  }
  return image;
}

function changeOf(op: Op, revision: number): Change {
  if (op.op === "delete") return { revision, key: op.key, resource: null, previous: null };
  const times = { creationTime: "", modificationTime: "" };
  const resource: Resource = { ...op.resource, version: revision, ...times };
  return { revision, key: op.resource, resource, previous: null };
}

function names(image: Image): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    [...image].filter(([, shelf]) => shelf.size > 0)
      .map(([type, shelf]): [string, string[]] => [type, [...shelf.keys()].sort()]).sort(),
  );
}

Deno.test("Kuma's zone asks for what we send, and its global for what we send up", () => {
  const known = (kinds: readonly ResourceDescriptor[]) => kinds.map(({ name }) => name);
  const down = new Set(recording("zone").subscribed);
  assert.deepEqual(known(globalToZone(KINDS)).filter((type) => !down.has(type)), []);
  const missing = [...down].filter((type) => !known(KINDS).includes(type));
  assert.deepEqual(missing.filter((type) => !ELSEWHERE.includes(type)), []);
  const up = recording("global").subscribed;
  assert.deepEqual(known(zoneToGlobal(KINDS)).sort(), [...up].sort());
});

Deno.test("Kuma's first request says who it is; its answers are ours, byte by byte", () => {
  const [first, ...answers] = recording("zone").requests;
  const peer = peerInfo(decodeRequest(first!).metadata);
  assert.deepEqual(peer.features, [
    "zone-token",
    "hash-suffix",
    "hg-mz-selector",
    "producer-policy-flow",
    "optional-top-level-target-ref",
  ]);
  assert.equal((peer.version["kumaCp"] as JsonObject)["version"], "2.13.10");
  assert.deepEqual(capacityOf(peer), { bytesMax: 10_485_760, inParts: false });
  const small = peer.config.replace("10485760", "4194304");
  assert.equal(capacityOf({ ...peer, config: small }).bytesMax, 4_194_304, "as it was told");
  for (const bytes of [...answers, ...recording("global").requests.slice(1)]) {
    assert.deepEqual(encodeRequest(decodeRequest(bytes)), bytes);
  }
});

Deno.test("a resource of Kuma's is the same bytes, and the same version, after our codec", () => {
  const items = ["zone", "global"] as const;
  let compared = 0;
  for (const { typeUrl, resources } of items.flatMap((who) => recording(who).responses)) {
    const descriptor = KINDS.find(({ name }) => name === typeUrl);
    if (!descriptor) continue;
    for (const item of resources) {
      const read = decodeResource(item, descriptor);
      assert.ok(read.ok, item.name);
      const written = encodeResource(read.draft, descriptor);
      assert.deepEqual(written, item, `${typeUrl} ${item.name}`);
      compared++;
    }
  }
  assert.ok(compared > 50, `${compared}`);
});

Deno.test("what Kuma's zone sent is on global under Kuma's names, and what it removed is not", () => {
  const rules = globalRules(zoneToGlobal(KINDS), { zone: "keast", prefixNames: false });
  const image = intake(rules, recording("zone").responses);
  assert.deepEqual(names(image), {
    HostnameGenerator: [
      "local-mesh-external-service-97f94cvb589899xx.",
      "local-universal-mesh-service-vf87bx8bfvxvcz4x.",
    ],
    MeshExternalService: ["zmes1-dzxc2w7dv222dfx6.default"],
    MeshGateway: ["zgw1-c9dw59f6626z7654.default"],
    MeshService: ["redis-cw5bbcxbbxv64xb7.default"],
    MeshTimeout: ["zt1-96bbw48b7994c5zz.default"],
    ZoneEgress: ["eg-1-fz79f9vvw5czf5dz."],
    ZoneIngress: ["ing-1-c8b9v745446cd284."],
  });
  const service = image.get("MeshService")!.get("redis-cw5bbcxbbxv64xb7.default")!;
  assert.deepEqual(service.labels, {
    "kuma.io/display-name": "redis",
    "kuma.io/env": "universal",
    "kuma.io/mesh": "default",
    "kuma.io/origin": "zone",
    "kuma.io/zone": "keast",
  });
  assert.ok(Object.keys(service.status ?? {}).length > 0, "a zone's own service has its status");
  assert.equal(image.get("ZoneIngress")!.get("ing-1-c8b9v745446cd284.")!.spec["zone"], "keast");
});

Deno.test("a zone that is older than hashed names is kept apart by a prefix, until it is newer", () => {
  const { responses } = recording("zone");
  const old = globalRules(zoneToGlobal(KINDS), { zone: "keast", prefixNames: true });
  const image = intake(old, responses);
  assert.deepEqual(names(image)["ZoneEgress"], ["keast.eg-1-fz79f9vvw5czf5dz."]);
  assert.equal(names(image)["Dataplane"], undefined, "it finds what it should remove, too");
  const [egress] = [...image.get("ZoneEgress")!.values()];
  assert.equal(egress!.labels["kuma.io/display-name"], "eg-1", "the peer's word for it counts");
});

Deno.test("what Kuma's global sent is in the zone, and what was deleted there is not", () => {
  const image = intake(zoneRules(globalToZone(KINDS)), recording("global").responses);
  const found = names(image);
  assert.deepEqual(found["Mesh"], ["default.", "shop."]);
  assert.deepEqual(found["Config"], ["kuma-cluster-id."]);
  assert.deepEqual(found["CircuitBreaker"], ["cb1-679f5wxd2472w72v.default"]);
  assert.deepEqual(found["MeshTimeout"], [
    "mesh-gateways-timeout-all-default-vf4vb2v8449w2vvz.default",
    "mesh-gateways-timeout-all-shop-889x285cx4f42457.shop",
    "mesh-timeout-all-default-bv8z44b7bzb99xc7.default",
    "mesh-timeout-all-shop-5xv446954wd56w7c.shop",
  ], "mt1 was there, and is gone");
  assert.equal(found["HostnameGenerator"]?.length, 6);
  for (const [type, shelf] of image) {
    for (const { labels, status } of shelf.values()) {
      assert.equal(labels["kuma.io/origin"], "global", type);
      assert.equal(status, undefined, type);
    }
  }
});
