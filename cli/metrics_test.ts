import assert from "node:assert/strict";
import { Metrics } from "./metrics.ts";

const OWN = `# HELP ursa_metrics_dropped_total Samples not kept because there are too many series.
# TYPE ursa_metrics_dropped_total counter
ursa_metrics_dropped_total 0
`;

Deno.test("Metrics render counters and gauges, sorted, with escaped labels", () => {
  const metrics = new Metrics();
  metrics.describe("ursa_pushes_total", "counter", "Responses sent.");
  metrics.count("ursa_pushes_total", { type: "LDS" });
  metrics.count("ursa_pushes_total", { type: "CDS" }, 2);
  metrics.count("ursa_pushes_total", { type: "LDS" });
  metrics.count("ursa_nacks_total", { why: 'a "b"\n\\', "kuma.io/zone": "east" });
  metrics.gauge("ursa_streams", 3);
  metrics.gaugeFrom(
    "ursa_depth",
    "Messages waiting.",
    () => [{ labels: { actor: "hub" }, value: 1 }],
  );
  assert.equal(
    metrics.render(),
    String.raw`# HELP ursa_depth Messages waiting.
# TYPE ursa_depth gauge
ursa_depth{actor="hub"} 1
# TYPE ursa_nacks_total counter
ursa_nacks_total{kuma_io_zone="east",why="a \"b\"\n\\"} 1
# HELP ursa_pushes_total Responses sent.
# TYPE ursa_pushes_total counter
ursa_pushes_total{type="CDS"} 2
ursa_pushes_total{type="LDS"} 2
# TYPE ursa_streams gauge
ursa_streams 3
` + OWN,
  );
});

Deno.test("Metrics render histograms with cumulative buckets", () => {
  const metrics = new Metrics();
  for (const seconds of [0.001, 0.004, 60]) {
    metrics.observe("ursa_push_seconds", seconds, { a: "b" });
  }
  const text = metrics.render();
  for (
    const line of [
      'ursa_push_seconds_bucket{a="b",le="0.001"} 1',
      'ursa_push_seconds_bucket{a="b",le="0.005"} 2',
      'ursa_push_seconds_bucket{a="b",le="10"} 2',
      'ursa_push_seconds_bucket{a="b",le="+Inf"} 3',
      'ursa_push_seconds_sum{a="b"} 60.005',
      'ursa_push_seconds_count{a="b"} 3',
    ]
  ) assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
});

Deno.test("Metrics keep a bounded number of series and count the rest", () => {
  const metrics = new Metrics();
  for (let i = 0; i < 10_050; i++) metrics.count("ursa_hostile_total", { name: String(i) });
  metrics.count("ursa_hostile_total", { name: "0" });
  assert.match(metrics.render(), /ursa_metrics_dropped_total 50\n$/);
  assert.match(metrics.render(), /ursa_hostile_total\{name="0"\} 2\n/);
});

Deno.test("Metrics refuse two kinds under one name, and names that Prometheus refuses", () => {
  const metrics = new Metrics();
  metrics.count("ursa_a");
  assert.throws(() => metrics.gauge("ursa_a", 1), /is a counter, not a gauge/);
  assert.throws(() => metrics.count("a-b"), /is not the name of a metric/);
});
