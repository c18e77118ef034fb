import { deepEqual } from "node:assert/strict";
import type { JsonObject } from "../core/resource.ts";
import { aggregateMetrics } from "./metrics_aggregate.ts";

const app = { name: "app", port: 8080, path: "/metrics" };
const mesh = (...aggregate: readonly JsonObject[]): JsonObject => ({
  metrics: {
    enabledBackend: "prom",
    backends: [{ name: "prom", type: "prometheus", conf: { aggregate } }],
  },
});
const at = { metrics: undefined, address: "10.0.0.1" };

Deno.test("aggregateMetrics() takes the address of the proxy unless another is given", () => {
  deepEqual(aggregateMetrics(mesh(app, { ...app, name: "b", address: "1.2.3.4" }), at), [
    { ...app, address: "10.0.0.1" },
    { ...app, name: "b", address: "1.2.3.4" },
  ]);
});

Deno.test("aggregateMetrics() lets the dataplane override what has the same name", () => {
  const own = (conf: JsonObject) => ({ ...at, metrics: { type: "prometheus", conf } });
  const other = { name: "app", port: 9090, path: "/other" };
  deepEqual(aggregateMetrics(mesh(app), own({ aggregate: [other] })), [
    { ...other, address: "10.0.0.1" },
  ]);
  deepEqual(aggregateMetrics(mesh(app), own({ aggregate: [{ ...app, enabled: false }] })), []);
});

Deno.test("aggregateMetrics() is empty where nothing is enabled, whatever it is given", () => {
  deepEqual(aggregateMetrics({}, at), []);
  deepEqual(aggregateMetrics({ metrics: { backends: [{ name: "" }] } }, at), []);
  deepEqual(aggregateMetrics({ metrics: { enabledBackend: "x", backends: "no" } }, at), []);
});
