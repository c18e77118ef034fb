import assert from "node:assert/strict";
import type { JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { KINDS } from "../core/kinds.ts";
import { decodeResource, encodeResource } from "./codec.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "./envelope.ts";
import {
  ownMetadata,
  parseSystemVersion,
  parseWireName,
  peerInfo,
  systemVersion,
  wireName,
} from "./wire.ts";

const kind = (name: string): ResourceDescriptor => KINDS.find((one) => one.name === name)!;
const hex = (bytes: Uint8Array) =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const MESH = {
  type: "Mesh",
  mesh: "",
  name: "default",
  labels: { "kuma.io/origin": "global" },
  spec: {},
};

Deno.test("encodeResource() gives the bytes and the version that Kuma gives", () => {
  const item = encodeResource(MESH, kind("Mesh"));
  assert.equal(item.name, "default.");
  assert.equal(
    hex(item.bytes),
    "0a230a0764656661756c7432180a0e6b756d612e696f2f6f726967696e1206676c6f62616c" +
      "122d0a2b747970652e676f6f676c65617069732e636f6d2f6b756d612e6d6573682e7631616c706861312e4d657368",
  );
  assert.equal(item.version, "ee3ed1993ca3721e6609c0fb78bb711a00f96c808af6675986293d420dc0d6d1");
});

Deno.test("decodeResource() reads back what encodeResource() wrote", () => {
  const draft = {
    type: "Dataplane",
    mesh: "default",
    name: "be-1",
    labels: { "kuma.io/zone": "east", "a": "b" },
    spec: {
      networking: {
        address: "127.0.0.1",
        inbound: [{ port: 80, servicePort: 8080, tags: { "kuma.io/service": "backend" } }],
      },
    },
  };
  const decoded = decodeResource(encodeResource(draft, kind("Dataplane")), kind("Dataplane"));
  assert.deepEqual(decoded, { ok: true, draft });
});

Deno.test("a kind without a message travels as JSON, its status beside it", () => {
  const draft = {
    type: "MeshService",
    mesh: "default",
    name: "api",
    labels: { "kuma.io/zone": "east" },
    spec: { ports: [{ port: 80, unheardOf: [1] }] },
    status: { vips: [{ ip: "241.0.0.1" }] },
  };
  const item = encodeResource(draft, kind("MeshService"));
  assert.ok(!hex(item.bytes).includes(hex(new TextEncoder().encode("type.googleapis.com"))));
  assert.deepEqual(decodeResource(item, kind("MeshService")), { ok: true, draft });
  const { status: _, ...bare } = draft;
  const decoded = decodeResource(encodeResource(bare, kind("MeshService")), kind("MeshService"));
  assert.deepEqual(decoded, { ok: true, draft: { ...bare, status: {} } });
  const list = { ...draft, spec: [] as unknown as JsonObject };
  const refused = decodeResource(encodeResource(list, kind("MeshService")), kind("MeshService"));
  assert.match(refused.ok ? "" : refused.reason, /must be a JSON object/);
});

Deno.test("a JSON spec is an Any without a type, byte by byte", () => {
  const spec = '{"targetRef":{"kind":"Mesh"},"to":[{"targetRef":{"kind":"Mesh"},' +
    '"default":{"connectionTimeout":"5s"}}]}';
  const draft = { type: "MeshTimeout", mesh: "m", name: "t", labels: {}, spec: JSON.parse(spec) };
  const { bytes } = encodeResource(draft, kind("MeshTimeout"));
  // meta {name, mesh}, then field 2 of 105 bytes: an Any whose field 2 are the 103 bytes of JSON.
  const expected = "0a060a017412016d" + "1269" + "1267" + hex(new TextEncoder().encode(spec));
  assert.equal(hex(bytes), expected);
});

Deno.test("decodeResource() says what is wrong with a resource, and never throws", () => {
  const item = encodeResource(MESH, kind("Mesh"));
  const reasons = [
    decodeResource(item, kind("Zone")),
    decodeResource({ ...item, bytes: new Uint8Array([255, 255]) }, kind("Mesh")),
    decodeResource({ ...item, bytes: new Uint8Array() }, kind("Mesh")),
    decodeResource({ ...item, wrongType: "type.googleapis.com/x.Y" }, kind("Mesh")),
  ].map((decoded) => decoded.ok ? "" : decoded.reason);
  assert.match(reasons[0]!, /has a spec of type "type.googleapis.com\/kuma.mesh.v1alpha1.Mesh"/);
  assert.match(reasons[1]!, /cannot be decoded/);
  assert.match(reasons[2]!, /has no name/);
  assert.match(reasons[3]!, /is packed as "type.googleapis.com\/x.Y"/);
});

Deno.test("encodeRequest() gives Kuma's bytes for ACK and NACK", () => {
  const ack = { typeUrl: "Mesh", nodeId: "zone-1", subscribe: [], initialVersions: {} };
  assert.equal(
    hex(encodeRequest({ ...ack, nonce: "1" })),
    "0a080a067a6f6e652d3112044d6573683201" + "31",
  );
  assert.equal(
    hex(encodeRequest({ ...ack, nonce: "2", subscribe: ["*"], error: "bad" })),
    "0a080a067a6f6e652d3112044d6573681a012a3201323a051203626164",
  );
});

Deno.test("requests and responses survive the wire", () => {
  const request = {
    typeUrl: "Mesh",
    nonce: "",
    nodeId: "zone-1",
    metadata: ownMetadata({ version: "0.1.0", instance: "cp-1", config: '{"store":{}}' }),
    subscribe: ["*"],
    initialVersions: { "default.": "abc" },
  };
  assert.deepEqual(decodeRequest(encodeRequest(request)), request);
  const peer = peerInfo(request.metadata);
  assert.equal(peer.instance, "cp-1");
  assert.ok(peer.features.includes("hash-suffix"));

  const response = {
    typeUrl: "Mesh",
    nonce: "7",
    systemVersion: "c-1:42",
    controlPlane: "global",
    resources: [encodeResource(MESH, kind("Mesh"))],
    removed: ["a.b."],
  };
  assert.deepEqual(decodeResponse(encodeResponse(response)), response);
});

Deno.test("a resource whose Any has no type keeps the response readable", () => {
  // Kuma's newer kinds put JSON under an empty type URL; it must not spoil the others.
  const response = {
    typeUrl: "MeshTimeout",
    nonce: "1",
    systemVersion: "",
    controlPlane: "global",
    resources: [{ name: "x.default", version: "1", bytes: new Uint8Array([1, 2, 3]) }],
    removed: [],
  };
  const decoded = decodeResponse(encodeResponse(response));
  assert.deepEqual(decoded.resources[0]?.bytes, new Uint8Array([1, 2, 3]));
});

Deno.test("wire names are split at the last dot", () => {
  assert.deepEqual(parseWireName("a.b.default"), { name: "a.b", mesh: "default" });
  assert.deepEqual(parseWireName("zone-1."), { name: "zone-1", mesh: "" });
  assert.deepEqual(parseWireName("plain"), { name: "plain", mesh: "" });
  assert.equal(wireName({ name: "zone-1", mesh: "" }), "zone-1.");
});

Deno.test("parseSystemVersion() reads only what Ursa writes", () => {
  const plain = { clusterId: "6f1d-2", revision: 17, epochs: [] };
  assert.deepEqual(parseSystemVersion("6f1d-2:17"), plain);
  assert.deepEqual(parseSystemVersion("6f1d-2:17:more"), plain);
  const epochs = [{ id: "g-a", from: 0 }, { id: "g-b", from: 12 }];
  assert.equal(systemVersion({ ...plain, epochs }), "6f1d-2:17;g-a@0,g-b@12");
  assert.deepEqual(parseSystemVersion("6f1d-2:17;g-a@0,g-b@12:more"), { ...plain, epochs });
  for (const text of ["", "x", ":1", "x:", "x:1:2", "x:-1", "a b:1"]) {
    assert.equal(parseSystemVersion(text), undefined, text);
  }
});
