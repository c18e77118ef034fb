// Which metrics of the workload a dp process serves beside Envoy's. kuma@v2.13.10:pkg/xds/bootstrap/generator.go (getMetricsConfig).

import { objectOf, objectsOf, textOf } from "../core/json.ts";
import { integerOf } from "../core/shape.ts";
import { compareText, type Json, type JsonObject } from "../core/resource.ts";

export interface AggregateMetrics {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly path: string;
}

/** Of the mesh's enabled backend, each overridden by the dataplane's of the same name. */
export function aggregateMetrics(
  mesh: JsonObject,
  { metrics, address }: { readonly metrics: Json | undefined; readonly address: string },
): readonly AggregateMetrics[] {
  const { enabledBackend, backends } = objectOf(mesh["metrics"]);
  const enabled = objectsOf(backends).find(({ name }) => name !== "" && name === enabledBackend);
  if (enabled?.["type"] !== "prometheus") return [];
  const own = objectOf(metrics);
  const entries = [
    ...objectsOf(objectOf(enabled["conf"])["aggregate"]),
    ...(own["type"] === "prometheus" ? objectsOf(objectOf(own["conf"])["aggregate"]) : []),
  ];
  return [...new Map(entries.map((entry) => [textOf(entry["name"]), entry])).values()]
    .filter(({ enabled }) => enabled !== false)
    .map((entry) => ({
      name: textOf(entry["name"]),
      address: textOf(entry["address"]) || address,
      port: integerOf(entry["port"]) ?? 0,
      path: textOf(entry["path"]),
    }))
    .sort((a, b) => compareText(a.name, b.name));
}
