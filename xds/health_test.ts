import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import type { DataplaneSpec } from "../core/dataplane.ts";
import type { JsonObject } from "../core/resource.ts";
import { decode, encode } from "../proto/mod.ts";
import { healthChecks, probeNames, readHealthMessage } from "./health.ts";
import { parseNode } from "./node.ts";

const tags = { "kuma.io/service": "web" };
const spec = (networking: JsonObject): DataplaneSpec =>
  ({ networking: { address: "10.0.0.1", ...networking } }) as unknown as DataplaneSpec;
const node = parseNode({ "dataplane.admin.port": "9911" });

// deno-lint-ignore no-explicit-any -- the tests read deep into a message
function checksOf(of: DataplaneSpec): any {
  const bytes = healthChecks(of, { node, reportMs: 1_500 });
  return decode("envoy.service.health.v3.HealthCheckSpecifier", bytes);
}

Deno.test("healthChecks() has Envoy look whether it serves itself", () => {
  const { interval, clusterHealthChecks } = checksOf(spec({ inbound: [{ port: 80, tags }] }));
  equal(interval, "1.500s");
  deepEqual(clusterHealthChecks, [{
    clusterName: "kuma:envoy:admin",
    localityEndpoints: [{
      endpoints: [{ address: { socketAddress: { address: "127.0.0.1", portValue: 9911 } } }],
    }],
    healthChecks: [{
      timeout: "2s",
      interval: "1s",
      healthyThreshold: 1,
      unhealthyThreshold: 1,
      noTrafficInterval: "1s",
      unhealthyInterval: "0.250s",
      httpHealthCheck: { path: "/ready" },
    }],
  }]);
});

Deno.test("healthChecks() gives each value of a probe its own default", () => {
  const timings = (serviceProbe: JsonObject) => {
    const [, probe] = checksOf(spec({ inbound: [{ port: 80, tags, serviceProbe }] }))
      .clusterHealthChecks;
    const [{ timeout, interval, healthyThreshold, unhealthyThreshold }] = probe.healthChecks;
    return [timeout, interval, healthyThreshold, unhealthyThreshold];
  };
  deepEqual(timings({ tcp: {} }), ["2s", "1s", 1, 1]);
  // In Kuma, an interval without a timeout is not looked at, and the other way round there is none.
  deepEqual(timings({ interval: "7s" }), ["2s", "7s", 1, 1]);
  deepEqual(timings({ timeout: "3s" }), ["3s", "1s", 1, 1]);
  deepEqual(timings({ healthyThreshold: 2, unhealthyThreshold: 3 }), ["2s", "1s", 2, 3]);
});

Deno.test("healthChecks() dials workloads as the proxy does", () => {
  const serviceProbe = { tcp: {} };
  const probeOf = (networking: JsonObject) => {
    const [, probe] = checksOf(spec(networking)).clusterHealthChecks;
    const [{ address }] = probe.localityEndpoints[0].endpoints;
    return [address.socketAddress, probe.upstreamBindConfig?.sourceAddress.address];
  };
  const inbound = { port: 80, tags, serviceProbe };
  const redirected = { transparentProxying: { redirectPortInbound: 15006 } };
  deepEqual(
    probeOf({ inbound: [{ ...inbound, servicePort: 8080, serviceAddress: "127.0.0.1" }] }),
    [
      { address: "127.0.0.1", portValue: 8080 },
      undefined,
    ],
  );
  deepEqual(probeOf({ inbound: [inbound], ...redirected }), [
    { address: "10.0.0.1", portValue: 80 },
    "127.0.0.6",
  ]);
  const local = { ...inbound, serviceAddress: "127.0.0.1" };
  equal(probeOf({ inbound: [local], ...redirected })[1], undefined);
});

Deno.test("probeNames() tells workloads on one port apart", () => {
  const serviceProbe = { tcp: {} };
  const names = probeNames(spec({
    inbound: [
      { port: 80, servicePort: 8080, tags, serviceProbe },
      { port: 81, servicePort: 8080, tags, serviceProbe },
      { port: 82, servicePort: 8080, serviceAddress: "127.0.0.1", tags, serviceProbe },
      { port: 83, tags },
      { port: 84, tags, serviceProbe, state: "Ignored" },
    ],
  }));
  deepEqual(names, ["localhost:8080", "localhost:8080", "localhost:8080:82", null, null]);
});

const MESSAGE = "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse";

function reportOf(health: Readonly<Record<string, string>>) {
  const bytes = encode(MESSAGE, {
    endpointHealthResponse: {
      clusterEndpointsHealth: Object.entries(health).map(([clusterName, healthStatus]) => ({
        clusterName,
        localityEndpointsHealth: [{ endpointsHealth: [{ healthStatus }] }],
      })),
    },
  });
  return readHealthMessage(bytes);
}

Deno.test("readHealthMessage() reads what Envoy offers, and what it says", () => {
  const offer = { healthCheckRequest: { node: { id: "default.web" }, capability: {} } };
  deepEqual(readHealthMessage(encode(MESSAGE, offer)), {
    says: "node",
    node: { id: "default.web" },
  });
  deepEqual(
    reportOf({
      "kuma:envoy:admin": "HEALTHY",
      "localhost:80": "UNHEALTHY",
      "localhost:81": "TIMEOUT",
      "localhost:82": "UNKNOWN",
    }),
    {
      says: "health",
      report: {
        envoy: true,
        workloads: { "localhost:80": false, "localhost:81": false, "localhost:82": true },
      },
    },
  );
  deepEqual(reportOf({ "kuma:envoy:admin": "DRAINING" }), {
    says: "health",
    report: { envoy: false, workloads: {} },
  });
});

Deno.test("readHealthMessage() throws nothing but a TypeError, whatever it is given", () => {
  throws(() => readHealthMessage(new Uint8Array()), TypeError);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    try {
      readHealthMessage(bytes);
      return true;
    } catch (error) {
      return error instanceof TypeError;
    }
  }));
});

/** What Envoy 1.40 beside kuma-dp 2.13.10 reported to our dp-server. */
const RECORDED = {
  serving:
    "EtUBCjgKEwoRCg8SCTEyNy4wLjAuMRi+mwEQARofCh0KEGh0dHBfc3RhdHVzX2NvZGUSCREAAAAAAABpQAoXChMKEQoPEgkxMjcuMC4wLjEYoo0BEAESUAoQa3VtYTplbnZveTphZG1pbhI8CgASOAoTChEKDxIJMTI3LjAuMC4xGL6bARABGh8KHQoQaHR0cF9zdGF0dXNfY29kZRIJEQAAAAAAAGlAEi4KD2xvY2FsaG9zdDoxODA4MhIbCgASFwoTChEKDxIJMTI3LjAuMC4xGKKNARAB",
  silent:
    "EtUBCjgKEwoRCg8SCTEyNy4wLjAuMRi+mwEQARofCh0KEGh0dHBfc3RhdHVzX2NvZGUSCREAAAAAAABpQAoXChMKEQoPEgkxMjcuMC4wLjEYoo0BEAISUAoQa3VtYTplbnZveTphZG1pbhI8CgASOAoTChEKDxIJMTI3LjAuMC4xGL6bARABGh8KHQoQaHR0cF9zdGF0dXNfY29kZRIJEQAAAAAAAGlAEi4KD2xvY2FsaG9zdDoxODA4MhIbCgASFwoTChEKDxIJMTI3LjAuMC4xGKKNARAC",
  draining:
    "EtUBCjgKEwoRCg8SCTEyNy4wLjAuMRi+mwEQAhofCh0KEGh0dHBfc3RhdHVzX2NvZGUSCREAAAAAAHB/QAoXChMKEQoPEgkxMjcuMC4wLjEYoo0BEAESUAoQa3VtYTplbnZveTphZG1pbhI8CgASOAoTChEKDxIJMTI3LjAuMC4xGL6bARACGh8KHQoQaHR0cF9zdGF0dXNfY29kZRIJEQAAAAAAcH9AEi4KD2xvY2FsaG9zdDoxODA4MhIbCgASFwoTChEKDxIJMTI3LjAuMC4xGKKNARAB",
};

Deno.test("readHealthMessage() reads what a real Envoy reports", () => {
  const reported = (base64: string) =>
    readHealthMessage(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  const report = (envoy: boolean, workload: boolean) => ({
    says: "health",
    report: { envoy, workloads: { "localhost:18082": workload } },
  });
  deepEqual(reported(RECORDED.serving), report(true, true));
  deepEqual(reported(RECORDED.silent), report(true, false));
  deepEqual(reported(RECORDED.draining), report(false, true));
});
