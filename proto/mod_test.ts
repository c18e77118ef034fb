import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import bundle from "./bundle.gen.json" with { type: "json" };
import { decode, encode, knows, messageType, packAny } from "./mod.ts";

const MESH = "type.googleapis.com/kuma.mesh.v1alpha1.Mesh";
const REQUEST = "envoy.service.discovery.v3.DeltaDiscoveryRequest";

const hex = (bytes: Uint8Array) => bytes.toHex();

Deno.test("encode() writes a KumaResource as Kuma does, byte for byte", () => {
  const bytes = encode("kuma.mesh.v1alpha1.KumaResource", {
    spec: { "@type": MESH },
    meta: { labels: { "kuma.io/origin": "global" }, name: "default" },
  });
  assert.equal(
    hex(bytes),
    "0a230a0764656661756c7432180a0e6b756d612e696f2f6f726967696e1206676c6f62616c" +
      "122d0a2b747970652e676f6f676c65617069732e636f6d2f6b756d612e6d6573682e7631616c706861312e4d657368",
  );
  assert.equal(
    createHash("sha256").update(bytes).digest("hex"),
    "ee3ed1993ca3721e6609c0fb78bb711a00f96c808af6675986293d420dc0d6d1",
  );
});

Deno.test("encode() writes ACK and NACK as Kuma does, byte for byte", () => {
  const node = { id: "zone-1" };
  assert.equal(
    hex(encode(REQUEST, { node, typeUrl: "Mesh", responseNonce: "1" })),
    "0a080a067a6f6e652d3112044d6573683201" + "31",
  );
  const nack = {
    node,
    type_url: "Mesh",
    resource_names_subscribe: ["*"],
    response_nonce: "2",
    error_detail: { message: "bad" },
  };
  assert.equal(
    hex(encode(REQUEST, nack)),
    "0a080a067a6f6e652d3112044d6573681a012a3201323a051203626164",
  );
});

Deno.test("an Any without type URL carries a modern policy's JSON", () => {
  const spec = { targetRef: { kind: "Mesh" }, to: [{ default: { connectionTimeout: "5s" } }] };
  const value = new TextEncoder().encode(JSON.stringify(spec));
  const bytes = encode("google.protobuf.Any", { value });
  assert.deepEqual([...bytes.subarray(0, 4)], [0x12, value.length, 0x7b, 0x22]);
  assert.deepEqual(decode("google.protobuf.Any", bytes), { "@type": "", value: value.toBase64() });
});

Deno.test("decode() gives back what encode() took", () => {
  for (
    const [type, json] of [
      ["envoy.config.cluster.v3.Cluster", {
        name: "backend",
        type: "EDS",
        edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: "V3" } },
        connectTimeout: "5s",
        perConnectionBufferLimitBytes: 32_768,
        circuitBreakers: { thresholds: [{ maxConnections: 1_024, trackRemaining: true }] },
        typedExtensionProtocolOptions: {
          "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            explicitHttpConfig: { http2ProtocolOptions: {} },
          },
        },
        metadata: { filterMetadata: { a: { list: [1, "x", null, { deep: true }], none: null } } },
      }],
      ["envoy.config.endpoint.v3.ClusterLoadAssignment", {
        clusterName: "backend",
        endpoints: [{ lbEndpoints: [{ loadBalancingWeight: 0 }], priority: 1 }],
        policy: { overprovisioningFactor: 140 },
      }],
      ["kuma.mesh.v1alpha1.DataplaneInsight", {
        subscriptions: [{
          id: "1",
          connectTime: "2024-02-29T01:02:03.004Z",
          status: { total: { responsesSent: "18446744073709551615" } },
        }],
        mTLS: { certificateRegenerations: 4_294_967_295 },
        metadata: { version: { kumaDp: { version: "2.13.10" } } },
      }],
      ["kuma.system.v1alpha1.Secret", { data: "c2VjcmV0" }],
      ["kuma.system.v1alpha1.Zone", { enabled: false }],
      ["kuma.system.v1alpha1.ZoneInsight", {
        subscriptions: [{ status: { stat: { Mesh: {}, Zone: { responsesSent: "1" } } } }],
      }],
      ["google.rpc.Status", {
        code: 3,
        details: [{ "@type": "type.googleapis.com/google.protobuf.Duration", value: "0.005s" }],
      }],
    ] as const
  ) assert.deepEqual(decode(type, encode(type, json)), json);
});

Deno.test("decode() names fields as in the .proto files when asked to", () => {
  const bytes = encode("envoy.config.cluster.v3.Cluster", { connectTimeout: "1m30s" });
  assert.deepEqual(decode("envoy.config.cluster.v3.Cluster", bytes, { snake: true }), {
    connect_timeout: "90s",
  });
});

Deno.test("decode() leaves default values out, except where presence says something", () => {
  const route = (json: unknown) =>
    decode(
      "kuma.mesh.v1alpha1.TrafficRoute",
      encode("kuma.mesh.v1alpha1.TrafficRoute", { conf: json }),
    )["conf"];
  assert.deepEqual(route({ split: [{ weight: 0 }], destination: {} }), { split: [{ weight: 0 }] });
  assert.deepEqual(route({ loadBalancer: { ringHash: { minRingSize: 0 } } }), {
    loadBalancer: { ringHash: {} },
  });
  assert.deepEqual(route({ http: [{ match: { path: { prefix: "" } } }] }), {
    http: [{ match: { path: { prefix: "" } } }],
  });
});

Deno.test("durations are read in Go's syntax and written in proto's", () => {
  const through = (text: string) =>
    decode("kuma.mesh.v1alpha1.ZoneHealthCheckResponse", health(text))["interval"];
  const health = (interval: string) =>
    encode("kuma.mesh.v1alpha1.ZoneHealthCheckResponse", { interval });
  for (
    const [text, expected] of [
      ["5s", "5s"],
      ["1m30s", "90s"],
      ["2h45m", "9900s"],
      ["5ms", "0.005s"],
      ["0.5s", "0.500s"],
      [".5s", "0.500s"],
      ["1.5h", "5400s"],
      ["-1.5s", "-1.500s"],
      ["7us", "0.000007s"],
      ["7µs", "0.000007s"],
      ["1ns", "0.000000001s"],
      ["0", "0s"],
      ["0s", "0s"],
    ] as const
  ) assert.equal(through(text), expected, text);
  for (const text of ["", "5", "s", "5 s", "5x", "1s2", "999999999h", "+"]) {
    assert.throws(() => health(text), /^MalformedError: interval: /, text);
  }
});

Deno.test("timestamps are RFC 3339, with any offset on the way in", () => {
  const through = (time: string) =>
    decode(
      "kuma.system.v1alpha1.HealthCheck",
      encode("kuma.system.v1alpha1.HealthCheck", { time }),
    );
  assert.deepEqual(through("2024-01-01T02:00:00+02:00"), { time: "2024-01-01T00:00:00Z" });
  assert.deepEqual(through("0001-01-01T00:00:00Z"), { time: "0001-01-01T00:00:00Z" });
  assert.deepEqual(through("2024-01-01T00:00:00.123456Z"), { time: "2024-01-01T00:00:00.123456Z" });
  assert.throws(() => through("2023-02-29T00:00:00Z"), /time: is no RFC 3339 time/);
});

Deno.test("encode() names what is wrong by its path", () => {
  for (
    const [type, json, message] of [
      ["kuma.mesh.v1alpha1.Mesh", { mtsl: {} }, "mtsl: is an unknown field"],
      [
        "kuma.mesh.v1alpha1.Mesh",
        { mtls: { backends: [{}, { nam: "x" }] } },
        "mtls.backends[1].nam: is an unknown field",
      ],
      [
        "kuma.mesh.v1alpha1.TrafficRoute",
        { conf: { http: [{ match: { headers: { "x-a": { exakt: "" } } } }] } },
        'conf.http[0].match.headers["x-a"].exakt: is an unknown field',
      ],
      [
        "kuma.mesh.v1alpha1.TrafficPermission",
        { sources: {} },
        "sources: must be a list, is an object",
      ],
      [
        "kuma.mesh.v1alpha1.Dataplane",
        { networking: { inbound: [{ port: -1 }] } },
        "networking.inbound[0].port: must be from 0 to 4294967295, is -1",
      ],
      [
        "kuma.mesh.v1alpha1.Dataplane",
        { networking: { gateway: { type: "BUILDIN" } } },
        'networking.gateway.type: must be one of DELEGATED, BUILTIN, is "BUILDIN"',
      ],
      [
        "kuma.mesh.v1alpha1.StatsResponse",
        { error: "x", stats: "" },
        "stats: excludes error",
      ],
      [
        "kuma.mesh.v1alpha1.TrafficRoute",
        { conf: { loadBalancer: {}, load_balancer: {} } },
        "conf.load_balancer: is given twice",
      ],
      [
        "kuma.mesh.v1alpha1.KumaResource",
        { spec: { "@type": MESH, mtls: { backends: 1 } } },
        "spec.mtls.backends: must be a list, is 1",
      ],
      [
        "kuma.mesh.v1alpha1.KumaResource",
        { spec: { "@type": "x.Y", a: 1 } },
        'spec.a: is unknown: "x.Y" is no type known here',
      ],
    ] as const
  ) {
    assert.throws(
      () => encode(type, json),
      (error) => error instanceof TypeError && error.message === message,
      message,
    );
  }
});

Deno.test("encode() refuses what is nested without end", () => {
  let value: unknown = 1;
  for (let depth = 0; depth < 100_000; depth++) value = [value];
  assert.throws(
    () => encode("envoy.config.core.v3.Node", { metadata: { value } }),
    /is nested too deeply/,
  );
});

Deno.test("decode() throws a TypeError on any bytes that are no message, and nothing else", () => {
  const types = [
    "envoy.config.listener.v3.Listener",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "kuma.mesh.v1alpha1.KumaResource",
  ];
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
      try {
        decode(type, bytes);
      } catch (error) {
        assert(error instanceof TypeError);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("decode() survives every cut of a real message", () => {
  const whole = encode(REQUEST, {
    node: { id: "a", metadata: { list: [1, { two: "2" }] } },
    initialResourceVersions: { a: "1", b: "2" },
    errorDetail: { code: 3, details: [{ "@type": MESH, mtls: { enabledBackend: "ca" } }] },
  });
  for (let length = 0; length < whole.length; length++) {
    try {
      decode(REQUEST, whole.subarray(0, length));
    } catch (error) {
      assert(error instanceof TypeError, `${error}`);
    }
  }
});

Deno.test("metadata of any JSON comes back equal", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (json) => {
      const metadata = JSON.parse(JSON.stringify(json));
      const node = { metadata };
      const back = decode("envoy.config.core.v3.Node", encode("envoy.config.core.v3.Node", node));
      assert.deepEqual(JSON.parse(JSON.stringify(back["metadata"])), metadata);
    }),
  );
});

Deno.test("equal maps are equal bytes, whatever the order of their keys", () => {
  const bytes = (match: unknown) =>
    encode("kuma.mesh.v1alpha1.TrafficPermission", { sources: [{ match }] });
  assert.deepEqual(bytes({ b: "2", a: "1" }), bytes({ a: "1", b: "2" }));
});

Deno.test("decode() skips fields that it does not know", () => {
  const newer = new Uint8Array([...encode(REQUEST, { typeUrl: "Mesh" }), 0xfa, 0x3f, 1, 7]);
  assert.deepEqual(decode(REQUEST, newer), { typeUrl: "Mesh" });
});

Deno.test("decode() takes repeated numbers packed and not", () => {
  const type = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  assert(knows(type));
  const retry = "envoy.config.route.v3.RetryPolicy";
  const packed = encode(retry, { retriableStatusCodes: [500, 503] });
  const [key = 0, , ...values] = packed;
  assert.equal(key & 7, 2);
  const loose = new Uint8Array([key & ~7, ...values.slice(0, 2), key & ~7, ...values.slice(2)]);
  assert.deepEqual(decode(retry, packed), { retriableStatusCodes: [500, 503] });
  assert.deepEqual(decode(retry, loose), { retriableStatusCodes: [500, 503] });
});

Deno.test("packAny() equals an Any encoded from JSON", () => {
  const mesh = { mtls: { enabledBackend: "ca-1" } };
  assert.deepEqual(
    packAny(MESH, encode("kuma.mesh.v1alpha1.Mesh", mesh)),
    encode("google.protobuf.Any", { "@type": MESH, ...mesh }),
  );
});

Deno.test("messageType() gives protobufjs types that agree with encode()", () => {
  const type = messageType(REQUEST);
  const request = {
    node: { id: "zone-1" },
    typeUrl: "Mesh",
    initialResourceVersions: { a: "1" },
    errorDetail: { details: [{ typeUrl: MESH, value: new Uint8Array([1, 2]) }] },
  };
  const bytes = new Uint8Array(type.encode(request).finish());
  const decoded = type.toObject(type.decode(bytes), { bytes: Array });
  assert.deepEqual(decoded, {
    ...request,
    errorDetail: { details: [{ typeUrl: MESH, value: [1, 2] }] },
  });
  assert.deepEqual(
    encode(REQUEST, { node: { id: "zone-1" }, typeUrl: "Mesh" }),
    new Uint8Array(type.encode({ node: { id: "zone-1" }, typeUrl: "Mesh" }).finish()),
  );
});

Deno.test("every message of the bundle can be encoded and decoded", () => {
  for (const [type, rows] of Object.entries(bundle.messages)) {
    const special = type.startsWith("google.protobuf.");
    if (!special) assert.deepEqual(decode(type, encode(type, {})), {}, type);
    for (const row of special ? [] : rows) {
      assert.throws(() => encode(type, { [String(row[0])]: Symbol.iterator }), TypeError);
    }
  }
});

Deno.test("numbers are read from every form of proto3 JSON, and checked", () => {
  const choices = "envoy.config.core.v3.RuntimeDouble";
  const through = (type: string, json: unknown) => decode(type, encode(type, json));
  assert.deepEqual(through(choices, { defaultValue: "0.5" }), { defaultValue: 0.5 });
  assert.deepEqual(through(choices, { defaultValue: "NaN" }), { defaultValue: "NaN" });
  assert.deepEqual(through(choices, { defaultValue: -Infinity }), { defaultValue: "-Infinity" });
  assert.throws(() => encode(choices, { defaultValue: "half" }), /must be a number, is "half"/);

  const stats = "kuma.system.v1alpha1.KDSServiceStats";
  for (const [given, expected] of [["1", "1"], [2 ** 53, "9007199254740992"], [7n, "7"]] as const) {
    assert.deepEqual(through(stats, { responsesSent: given }), { responsesSent: expected });
  }
  assert.deepEqual(through(stats, { responsesSent: "0" }), {});
  for (const bad of [-1, "18446744073709551616", 1.5, "1.0", true, [1]]) {
    assert.throws(
      () => encode(stats, { responsesSent: bad }),
      /^MalformedError: responsesSent: must be/,
    );
  }

  const info = "google.api.expr.v1alpha1.SourceInfo";
  assert.deepEqual(through(info, { positions: { "-5": -3, "6": 0 }, lineOffsets: [-1, 0] }), {
    positions: { "-5": -3, "6": 0 },
    lineOffsets: [-1, 0],
  });
  assert.throws(
    () => encode(info, { positions: { x: 1 } }),
    /positions\["x"\]: must be an integer/,
  );

  const locality = "envoy.config.core.v3.SocketAddress";
  assert.deepEqual(through(locality, { portValue: "80", protocol: 1 }), {
    portValue: 80,
    protocol: "UDP",
  });
  assert.deepEqual(through(locality, { protocol: 77 }), { protocol: 77 });
});

Deno.test("the last member of a oneof wins on the wire", () => {
  const type = "kuma.mesh.v1alpha1.StatsResponse";
  const both = new Uint8Array([
    ...encode(type, { error: "x" }),
    ...encode(type, { stats: "AQ==" }),
  ]);
  assert.deepEqual(decode(type, both), { stats: "AQ==" });
});

Deno.test("a key called __proto__ is a key", () => {
  const json = JSON.parse('{"tags": {"__proto__": "x"}, "mesh": "a"}');
  const type = "kuma.mesh.v1alpha1.ZoneIngress.AvailableService";
  const back = decode(type, encode(type, json));
  assert.equal(JSON.stringify(back), '{"tags":{"__proto__":"x"},"mesh":"a"}');
});

Deno.test("wrong wire types are skipped like unknown fields", () => {
  const type = "kuma.mesh.v1alpha1.KumaResource.Meta";
  const mesh = encode(type, { mesh: "a" });
  // Field 1 (a string) and field 6 (a map) as varints.
  assert.deepEqual(decode(type, new Uint8Array([0x08, 5, 0x30, 5, ...mesh])), { mesh: "a" });
});

Deno.test("bytes are base64 in either alphabet, or bytes", () => {
  const through = (data: unknown) =>
    decode("kuma.system.v1alpha1.Secret", encode("kuma.system.v1alpha1.Secret", { data }));
  assert.deepEqual(through("+/8="), { data: "+/8=" });
  assert.deepEqual(through("-_8"), { data: "+/8=" });
  assert.deepEqual(through(new Uint8Array([251, 255])), { data: "+/8=" });
  assert.throws(() => through("a€"), /data: must be base64/);
  assert.throws(() => through(5), /data: must be base64/);
});

Deno.test("knows() tells the bundle's messages from others", () => {
  assert(knows("envoy.config.bootstrap.v3.Bootstrap"));
  assert(knows("kuma.mesh.v1alpha1.ZoneIngress"));
  assert(!knows("kuma.mesh.v1alpha1.Nonsense"));
  assert(!knows("__proto__"));
  assert.throws(() => encode("kuma.mesh.v1alpha1.Nonsense", {}), TypeError);
});

Deno.test("floats of 32 bits are read with the digits that they were written with", () => {
  const type = "kuma.mesh.v1alpha1.HealthCheck";
  for (const value of [0, 0.1, 62.9, 33.333332, 1e-7, 100, 16_777_216]) {
    const spec = { conf: { healthyPanicThreshold: value } };
    assert.deepEqual(decode(type, encode(type, spec)), spec);
  }
});
