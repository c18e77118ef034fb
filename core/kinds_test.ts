import assert from "node:assert/strict";
import fc from "fast-check";
import { KindTable } from "./kind_table.ts";
import { KINDS } from "./kinds.ts";
import { renderViolation, renderViolations } from "./violation.ts";

const table = new KindTable(KINDS);

function validate(kind: string, spec: unknown): string {
  return renderViolations(table.byName(kind)?.validate(spec) ?? []);
}

function accepts(kind: string, spec: unknown): void {
  assert.equal(validate(kind, spec), "");
}

/** Accepted, and each expected line is `path: beginning of the message`. */
function notes(kind: string, spec: unknown, ...expected: readonly string[]): void {
  accepts(kind, spec);
  const found = (table.byName(kind)?.notes?.(spec) ?? []).map(renderViolation);
  assert.deepEqual(
    found.map((line, index) => line.slice(0, expected[index]?.length)),
    expected,
    found.join("\n"),
  );
}

/** Each expected line is `path: beginning of the message`. */
function refuses(kind: string, spec: unknown, ...expected: readonly string[]): void {
  const lines = validate(kind, spec).split("\n").map((line) => line.trim());
  assert.deepEqual(
    lines.map((line, index) => line.slice(0, expected[index]?.length)),
    expected,
    lines.join("\n"),
  );
}

Deno.test("a kind is found by every name it has", () => {
  assert.equal(table.byName("ZoneIngress"), table.byPlural("zone-ingresses"));
  assert.equal(table.byPlural("zoneingresses"), table.byArg("zone-ingress"));
  assert.equal(table.byArg("Meshes"), table.byName("Mesh"));
  assert.equal(table.byName("Nonsense"), undefined);
  assert.equal(table.nearestArg("dataplan"), "dataplane");
  assert.throws(() => new KindTable([...KINDS, ...KINDS]), /Two kinds are called "Mesh"/);
});

Deno.test("no validator throws, whatever the JSON", () => {
  // Real field names, so that more than the first check is reached.
  const names = [
    ...["networking", "inbound", "outbound", "gateway", "address", "port", "tags", "admin"],
    ...["mtls", "backends", "name", "type", "conf", "dpCert", "rotation", "expiration", "mode"],
    ...["availableServices", "advertisedAddress", "advertisedPort", "subscriptions", "data"],
    ...["kuma.io/service", "kuma.io/protocol", "transparentProxying", "metrics", "__proto__"],
  ];
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      fc.jsonValue({ maxDepth: 1 }),
      fc.constantFrom("127.0.0.1", "::1", "builtin", "STRICT", 80, 0, -1, "80", undefined),
      fc.array(tie("json"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...names), tie("json"), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), json, (kind, spec) => {
      for (const { path, message } of kind.validate(spec)) assert(path !== null && message !== "");
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("no validator falls over JSON without end", () => {
  let deep: unknown = {};
  for (let depth = 0; depth < 50_000; depth++) deep = { networking: deep, tracing: [deep] };
  for (const kind of KINDS) kind.validate(deep);
});

Deno.test("violations are listed up to a bound", () => {
  const inbound = new Array(10_000).fill({});
  const violations = table.byName("Dataplane")?.validate({ networking: { inbound } });
  assert.equal(violations?.length, 100);
});

// --- Mesh ---

const MESH = {
  mtls: {
    enabledBackend: "ca-1",
    backends: [{
      name: "ca-1",
      type: "builtin",
      mode: "STRICT",
      dpCert: { rotation: { expiration: "24h" } },
      conf: { caCert: { expiration: "10y" } },
    }],
  },
  networking: { outbound: { passthrough: false } },
  routing: { localityAwareLoadBalancing: true },
  meshServices: { mode: "Disabled" },
  skipCreatingInitialPolicies: ["*"],
};

Deno.test("a Mesh with what works here is accepted", () => {
  accepts("Mesh", {});
  accepts("Mesh", MESH);
});

Deno.test("a Mesh may have two builtin backends, the second one on its way in", () => {
  const backends = [{ name: "ca-1", type: "builtin" }, { name: "ca-2", type: "builtin" }];
  accepts("Mesh", { mtls: { enabledBackend: "ca-2", backends } });
  refuses(
    "Mesh",
    {
      mtls: { enabledBackend: "ca-4", backends: [...backends, { name: "ca-2", type: "builtin" }] },
    },
    "mtls.backends: must be 2 at most, are 3",
    'mtls.backends[2].name: must be unique, "ca-2" is there twice',
    'mtls.enabledBackend: must name one of the backends, is "ca-4"',
  );
});

Deno.test("a Mesh in the form in which peers write defaults out is accepted", () => {
  accepts("Mesh", {
    mtls: {
      backends: [{ name: "a", type: "builtin", mode: 0, conf: null }],
      skipValidation: false,
    },
    tracing: {},
    logging: { backends: [], defaultBackend: "" },
    metrics: null,
    constraints: { dataplaneProxy: {} },
    routing: { zoneEgress: false },
    meshServices: {},
  });
});

Deno.test("what a Mesh could ask for and would not get is noted by name", () => {
  notes(
    "Mesh",
    {
      mtls: {
        enabledBackend: "corp",
        backends: [
          {
            name: "corp",
            type: "builtin",
            dpCert: { requestTimeout: "10s" },
            rootChain: { requestTimeout: "10s" },
            conf: { caCert: { RSAbits: 2048 } },
          },
        ],
      },
      tracing: { backends: [{ name: "d", type: "datadog", conf: { address: "a", port: 1 } }] },
      logging: { backends: [{ name: "f1", type: "file", conf: { path: "/dev/stdout" } }] },
      metrics: { backends: [{ name: "prom", type: "prometheus" }] },
      routing: { zoneEgress: true, defaultForbidMeshExternalServiceAccess: true },
      meshServices: { mode: "Exclusive" },
    },
    "mtls.backends[0].dpCert.requestTimeout: has no effect yet",
    "mtls.backends[0].rootChain.requestTimeout: has no effect yet",
    "mtls.backends[0].conf.caCert.RSAbits: has no effect yet",
    "tracing: has no effect yet",
    "logging: has no effect yet",
    "metrics: has no effect yet",
    "routing.zoneEgress: has no effect yet",
    "routing.defaultForbidMeshExternalServiceAccess: has no effect yet",
    "meshServices.mode: has no effect yet",
  );
});

Deno.test("what would be dangerous to take without effect is refused", () => {
  const backend = { name: "corp", type: "builtin", mode: "PERMISSIVE" };
  refuses(
    "Mesh",
    { mtls: { enabledBackend: "corp", backends: [backend] } },
    "mtls.backends[0].mode: must not be PERMISSIVE: it has no effect yet",
  );
});

Deno.test("what a Mesh says of logs, traces, metrics and members is checked in shape", () => {
  const cases: readonly (readonly [object, string])[] = [
    [{ logging: { defaultBackend: "x" } }, "logging.defaultBackend: "],
    [{ logging: { backends: [{ name: "a", type: "kafka" }] } }, "logging.backends[0].type: "],
    [
      { logging: { backends: [{ name: "a", type: "tcp", conf: { address: "host" } }] } },
      "logging.backends[0].conf.address: ",
    ],
    [
      { tracing: { backends: [{ name: "a", type: "zipkin", conf: { url: "http://z/" } }] } },
      "tracing.backends[0].conf.url: ",
    ],
    [{
      tracing: {
        backends: [{ name: "a", type: "datadog", sampling: 101, conf: { address: "a", port: 1 } }],
      },
    }, "tracing.backends[0].sampling: "],
    [{ metrics: { backends: [{ name: "a", type: "statsd" }] } }, "metrics.backends[0].type: "],
    [{
      metrics: { backends: [{ name: "a", type: "prometheus", conf: { skipMTLS: true, tls: {} } }] },
    }, "metrics.backends[0].conf: skipMTLS and tls"],
    [
      { constraints: { dataplaneProxy: { restrictions: [{ tags: {} }] } } },
      "constraints.dataplaneProxy.restrictions[0].tags: must have at least one tag",
    ],
    [{ routing: { zoneEgress: true } }, "mtls: has to be set"],
  ];
  for (const [spec, expected] of cases) refuses("Mesh", spec, expected);
});

Deno.test("a provided CA names where its certificate and its key are", () => {
  const mesh = (type: string, conf: unknown) => ({
    mtls: {
      enabledBackend: "corp",
      backends: [{ name: "corp", type, conf }],
      skipValidation: true,
    },
  });
  const key = { secret: "corp-key" };
  for (const cert of [{ secret: "corp-cert" }, { inline: "QUFB" }, { inlineString: "-----" }]) {
    accepts("Mesh", mesh("provided", { cert, key }));
  }
  const conf = "mtls.backends[0].conf";
  refuses("Mesh", mesh("provided", undefined), `${conf}.cert: has to be`, `${conf}.key: has to be`);
  refuses("Mesh", mesh("provided", { cert: {}, key }), `${conf}.cert: must have one of`);
  refuses(
    "Mesh",
    mesh("provided", { cert: { secret: "a", inline: "QUFB" }, key }),
    `${conf}.cert: must have one of`,
  );
  refuses(
    "Mesh",
    mesh("provided", { cert: key, key, caCert: { expiration: "10y" } }),
    `${conf}.caCert: is for backends of type builtin`,
  );
  refuses("Mesh", mesh("builtin", { key }), `${conf}.key: is for backends of type provided`);
});

Deno.test("lifetimes of certificates are checked", () => {
  const mesh = (expiration: unknown) => ({
    mtls: { backends: [{ name: "a", type: "builtin", dpCert: { rotation: { expiration } } }] },
  });
  for (const good of ["1s", "90m", "30d", "2w", "10y", "5000ms", "", "0"]) {
    accepts("Mesh", mesh(good));
  }
  const path = "mtls.backends[0].dpCert.rotation.expiration";
  for (const bad of ["1", "h", "1d12h", "-1h", "1.5h", 5, {}, "99999999999999999y"]) {
    refuses("Mesh", mesh(bad), `${path}: must be a number and one of y, w, d, h, m, s, ms`);
  }
  refuses("Mesh", mesh("999ms"), `${path}: must be 1s or more`);
});

Deno.test("an unknown field is noted, with the one that was meant", () => {
  const note = "no such field is known here: it is kept, and has no effect";
  notes("Mesh", { mlts: {} }, `mlts: ${note}; did you mean mtls?`);
  notes("Mesh", { routing: { qqqqqqq: 1 } }, `routing.qqqqqqq: ${note}`);
  refuses("Mesh", [], "must be an object, is a list");
});

// --- Dataplane ---

const INBOUND = {
  port: 11011,
  servicePort: 8099,
  serviceAddress: "127.0.0.1",
  tags: { "kuma.io/service": "backend", "kuma.io/protocol": "http", version: "v1" },
};

Deno.test("the dataplanes of the demo are accepted", () => {
  accepts("Dataplane", {
    networking: { address: "127.0.1.3", admin: { port: 9923 }, inbound: [INBOUND] },
  });
  accepts("Dataplane", {
    networking: {
      address: "127.0.1.6",
      admin: { port: 9926 },
      inbound: [{ ...INBOUND, name: "http", health: { ready: true }, state: "NotReady" }],
      outbound: [{ port: 20080, tags: { "kuma.io/service": "backend" } }],
    },
  });
  accepts("Dataplane", {
    networking: {
      address: "127.0.1.8",
      gateway: { type: "DELEGATED", tags: { "kuma.io/service": "gateway" } },
      outbound: [{ address: "127.0.0.1", port: 20180, tags: { "kuma.io/service": "backend" } }],
    },
  });
  accepts("Dataplane", {
    networking: {
      address: "fd00::1",
      advertisedAddress: "203.0.113.5",
      inbound: [INBOUND],
      transparentProxying: {
        redirectPortInbound: 15006,
        redirectPortOutbound: 15001,
        ipFamilyMode: "IPv4",
        reachableServices: ["redis"],
      },
    },
  });
});

Deno.test("a Dataplane may be written in snake_case", () => {
  accepts("Dataplane", {
    networking: {
      address: "127.0.0.2",
      inbound: [{ port: 80, service_port: "8080", tags: { "kuma.io/service": "a" } }],
      transparent_proxying: { redirect_port_inbound: 15006 },
    },
  });
});

Deno.test("every mistake in a Dataplane is named at once", () => {
  refuses(
    "Dataplane",
    {
      networking: {
        address: "0.0.0.0",
        advertisedAddress: "backend.example",
        inbound: [
          { port: 0, tags: { "kuma.io/protocol": "htpp", "a b": "", c: "*" } },
          { port: 70_000, serviceAddress: "localhost", state: "Gone" },
        ],
        outbound: [{ port: 1, tags: { "kuma.io/service": "*" } }, { address: "::1" }],
      },
    },
    'networking.address: must be the address of one host, is "0.0.0.0"',
    "networking.advertisedAddress: must be an IP address",
    "networking.inbound[0].port: must be a whole number from 1 to 65535, is 0",
    'networking.inbound[0].tags["a b"]: must have a name of letters',
    'networking.inbound[0].tags["a b"]: must be letters, digits',
    'networking.inbound[0].tags["c"]: must be letters, digits',
    'networking.inbound[0].tags["kuma.io/service"]: must be set',
    'networking.inbound[0].tags["kuma.io/protocol"]: must be one of tcp, tls, http',
    "networking.inbound[1].port: must be a whole number",
    "networking.inbound[1].serviceAddress: must be an IP address",
    "networking.inbound[1].state: must be one of Ready, NotReady, Ignored",
    "networking.inbound[1].tags: must be set",
    'networking.outbound[0].tags["kuma.io/service"]: must be letters, digits',
    "networking.outbound[1].port: must be set",
    "networking.outbound[1].tags: must be set",
  );
});

Deno.test("what a Dataplane could ask for and would not get is noted or refused by name", () => {
  refuses(
    "Dataplane",
    {
      networking: {
        address: "127.0.0.2",
        gateway: { type: "BUILTIN", tags: { "kuma.io/service": "edge" } },
        outbound: [{ port: 1, backendRef: { kind: "MeshService", name: "x", port: 1 } }],
      },
    },
    "networking.outbound[0].backendRef: has no effect yet",
    "networking.outbound: must be empty beside a builtin gateway",
  );
  notes(
    "Dataplane",
    {
      networking: {
        address: "127.0.0.2",
        gateway: { type: "BUILTIN", tags: { "kuma.io/service": "edge" } },
      },
    },
    "networking.gateway.type: has no effect yet",
  );
  notes(
    "Dataplane",
    {
      networking: {
        address: "127.0.0.2",
        inbound: [INBOUND],
        transparentProxying: {
          directAccessServices: ["*"],
          reachableBackends: { refs: [{ kind: "MeshService", name: "x" }] },
        },
      },
      metrics: { type: "prometheus" },
      probes: { port: 9000 },
    },
    "networking.transparentProxying.directAccessServices: has no effect yet",
    "networking.transparentProxying.reachableBackends: has no effect yet",
    "metrics: has no effect yet",
    "probes: has no effect yet",
  );
  refuses(
    "Dataplane",
    {
      networking: {
        address: "127.0.0.2",
        inbound: [{
          ...INBOUND,
          serviceProbe: { interval: "0s", timeout: "soon", healthyThreshold: 0, tcp: {} },
        }],
      },
    },
    "networking.inbound[0].serviceProbe.interval: must be a duration such as 5s",
    "networking.inbound[0].serviceProbe.timeout: must be a duration such as 5s",
    "networking.inbound[0].serviceProbe.healthyThreshold: must be a whole number from 1",
  );
});

Deno.test("a Dataplane has an inbound or a gateway, and not both", () => {
  refuses("Dataplane", {}, "networking: must be set");
  refuses(
    "Dataplane",
    { networking: { address: "127.0.0.2" } },
    "networking: must have an inbound or a gateway",
  );
  const gateway = { tags: { "kuma.io/service": "edge" } };
  refuses(
    "Dataplane",
    { networking: { address: "127.0.0.2", inbound: [INBOUND], gateway } },
    "networking.inbound: must be empty beside a gateway",
  );
});

Deno.test("a workload is not where its proxy listens", () => {
  const dataplane = (inbound: object) => ({
    networking: { address: "127.0.0.2", inbound: [{ ...INBOUND, ...inbound }] },
  });
  refuses(
    "Dataplane",
    dataplane({ port: 80, servicePort: 0, serviceAddress: "127.0.0.2" }),
    "networking.inbound[0]: must not have its workload where it listens",
  );
  accepts("Dataplane", dataplane({ port: 80, servicePort: 80, serviceAddress: "127.0.0.1" }));
});

Deno.test("Envoy's admin port is no listener's", () => {
  const dataplane = (address: string, port: number) => ({
    networking: {
      address,
      admin: { port: 9901 },
      inbound: [INBOUND],
      outbound: [{ port, tags: { "kuma.io/service": "a" } }],
    },
  });
  accepts("Dataplane", dataplane("127.0.0.2", 9902));
  refuses(
    "Dataplane",
    dataplane("127.0.0.2", 9901),
    "networking.admin.port: must be free on 127.0.0.1, 9901 is an inbound's or an outbound's",
  );
});

// --- Zones ---

Deno.test("a ZoneIngress needs an address that others can dial", () => {
  const ingress = (networking: object) => ({ networking: { port: 10001, ...networking } });
  accepts("ZoneIngress", ingress({ address: "127.0.1.1" }));
  accepts("ZoneIngress", {
    ...ingress({ advertisedAddress: "127.0.1.1", advertisedPort: 10001, admin: { port: 9921 } }),
    zone: "east",
    availableServices: [{ tags: { "kuma.io/service": "a" }, instances: 2, mesh: "default" }],
  });
  refuses("ZoneIngress", ingress({}), "networking.address: must be the address of one host, or");
  refuses(
    "ZoneIngress",
    ingress({ address: "0.0.0.0" }),
    "networking.address: must be the address",
  );
  refuses(
    "ZoneIngress",
    ingress({ address: "127.0.0.1", advertisedPort: 1, admin: { port: 10001 } }),
    "networking.advertisedAddress: must be set beside advertisedPort",
    "networking.admin.port: must not be the port of the ingress",
  );
  refuses(
    "ZoneIngress",
    ingress({ advertisedAddress: "127.0.0.1", advertisedPort: "0" }),
    "networking.advertisedPort: must be set beside advertisedAddress",
  );
  refuses(
    "ZoneIngress",
    { ...ingress({ address: "127.0.0.1", port: null }), availableServices: [{ tags: {} }] },
    "networking.port: must be set",
    'availableServices[0].tags["kuma.io/service"]: must be set',
    "availableServices[0].mesh: must be set",
  );
});

Deno.test("the small kinds are checked too", () => {
  accepts("Zone", { enabled: false });
  refuses("Zone", { enabled: "no" }, 'enabled: must be true or false, is "no"');
  accepts("Secret", { data: "c2VjcmV0" });
  refuses("Secret", {}, "data: must be set");
  refuses("GlobalSecret", { data: "s€cret" }, "data: must be base64");
  accepts("Config", { config: "{}" });
  accepts("DataplaneInsight", { subscriptions: [{}], madeByANewerOne: 1 });
  refuses("ZoneInsight", { subscriptions: [1] }, "subscriptions[0]: must be an object");
});
