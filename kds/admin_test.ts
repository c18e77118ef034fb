import assert from "node:assert/strict";
import type { EnvoyQuestion } from "../core/envoy_admin.ts";
import type { Resource } from "../core/resource.ts";
import { messageType } from "../proto/mod.ts";
import {
  type AdminKind,
  decodeAdminAnswer,
  decodeAdminRequest,
  encodeAdminAnswer,
  encodeAdminRequest,
  keyInZone,
} from "./admin.ts";

const proxy = { type: "Dataplane", mesh: "default", name: "web-1" };
const LIMIT = 10_000;

Deno.test("questions come back as they were asked", () => {
  const questions: readonly EnvoyQuestion[] = [
    { kind: "xds", includeEds: false },
    { kind: "xds", includeEds: true },
    { kind: "stats", format: "text", usedOnly: true },
    { kind: "stats", format: "json", usedOnly: false },
    { kind: "clusters", format: "text" },
    { kind: "clusters", format: "json" },
  ];
  for (const question of questions) {
    const request = { id: "r-1", proxy, question };
    assert.deepEqual(decodeAdminRequest(question.kind, encodeAdminRequest(request)), request);
  }
});

Deno.test("decodeAdminRequest() reads what Kuma's global asks", () => {
  // StatsRequest{request_id "1", resource_type "ZoneIngress", resource_name "in", format JSON, used_only}
  const bytes = Uint8Array.fromHex("0a0131120b5a6f6e65496e67726573731a02696e28013001");
  assert.deepEqual(decodeAdminRequest("stats", bytes), {
    id: "1",
    proxy: { type: "ZoneIngress", mesh: "", name: "in" },
    question: { kind: "stats", format: "json", usedOnly: true },
  });
  assert.throws(() => decodeAdminRequest("xds", new Uint8Array([255])));
});

Deno.test("answers come back as they were given, also none and an error", () => {
  const body = new TextEncoder().encode("cluster.a::1");
  for (const kind of ["xds", "stats", "clusters"] satisfies AdminKind[]) {
    const round = (answer: Parameters<typeof encodeAdminAnswer>[1]["answer"]) =>
      decodeAdminAnswer(kind, encodeAdminAnswer(kind, { id: "r-1", answer }, LIMIT));
    assert.deepEqual(round({ ok: true, body }), { id: "r-1", answer: { ok: true, body } });
    const none = { ok: true, body: new Uint8Array() } as const;
    assert.deepEqual(round(none), { id: "r-1", answer: none });
    assert.deepEqual(round({ ok: false, reason: "unknown", detail: "no such proxy" }), {
      id: "r-1",
      answer: { ok: false, reason: "failed", detail: "no such proxy" },
    });
  }
});

Deno.test("encodeAdminAnswer() says of an answer that is too long that it is", () => {
  const answer = { ok: true, body: new Uint8Array(LIMIT) } as const;
  const bytes = encodeAdminAnswer("xds", { id: "r-1", answer }, LIMIT);
  const read = decodeAdminAnswer("xds", bytes).answer;
  assert.match(read.ok ? "" : read.detail, /10000 bytes is more than one message/);
  const raw = messageType("kuma.mesh.v1alpha1.XDSConfigResponse").decode(bytes).toJSON();
  assert.deepEqual(Object.keys(raw), ["requestId", "error"]);
});

Deno.test("keyInZone() is the name at home, with the namespace where names have one", () => {
  const resource: Resource = {
    ...proxy,
    name: "web-1-2v6wfvvcvbc9f55d",
    labels: { "kuma.io/display-name": "web-1", "k8s.kuma.io/namespace": "shop" },
    spec: {},
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  assert.deepEqual(keyInZone(resource, { kubernetes: false }), proxy);
  assert.deepEqual(keyInZone(resource, { kubernetes: true }), { ...proxy, name: "web-1.shop" });
  const plain = { ...resource, labels: {} };
  assert.equal(keyInZone(plain, { kubernetes: true }).name, resource.name);
});
