// TrafficPermission: who may connect to whom under mutual TLS.

import type { Violation } from "../../core/violation.ts";
import type { ConnectionSpec } from "../match/connection.ts";
import { checkSelectors } from "../match/selectors.ts";
import { Findings } from "../match/shape.ts";
import { definePolicy } from "../policy.ts";

export type TrafficPermissionSpec = ConnectionSpec;

export default definePolicy<TrafficPermissionSpec>({
  resource: {
    name: "TrafficPermission",
    plural: "traffic-permissions",
    args: ["traffic-permission", "traffic-permissions"],
    scope: "Mesh",
    kds: "global",
    message: "kuma.mesh.v1alpha1.TrafficPermission",
  },
  phase: "secure",
  after: [],
  matches: "connection",
  validate,
  apply(draft, matched) {
    for (const inbound of draft.inbounds) {
      const permission = matched.inbound(inbound);
      if (!permission) continue;
      inbound.permission = {
        name: permission.name,
        sources: permission.spec.sources.map(({ match }) => match),
      };
    }
  },
});

function validate(spec: unknown): readonly Violation[] {
  const findings = new Findings();
  const fields = findings.object(spec, "");
  if (!fields) return findings.violations;
  for (const path of ["sources", "destinations"]) {
    checkSelectors(findings, { value: fields[path], path, rule: "any tags" });
  }
  return findings.violations;
}
