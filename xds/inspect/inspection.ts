// Inspection over views of meshes: the answers, from what generation stands on.

import { assert } from "../../core/assert.ts";
import { asDataplane } from "../../core/dataplane.ts";
import type { Inspection } from "../../core/inspection.ts";
import type { KindTable } from "../../core/kind_table.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import { whyUnusable } from "../../core/usable.ts";
import type { Resource } from "../../core/resource.ts";
import { matchesHash } from "../../policies/match/rules.ts";
import { gatewayOf, type GatewaySpec } from "../../policies/match/target_ref.ts";
import { attachmentsOf, concernsDataplane, referableOf } from "./attachments.ts";
import { configOf } from "./config.ts";
import { servesGateway, servesRoute } from "./gateways.ts";
import { ruleAttachments } from "./rule_attachments.ts";
import { rulesOf } from "./rules.ts";

/** What inspection looks at, all of one revision. */
export interface Inspected {
  readonly kinds: KindTable;
  /** Of a mesh that is there, with policies of every kind. */
  viewOf(mesh: string): MeshView;
  list(type: string, mesh?: string): readonly Resource[];
  readonly vipPort: number;
  /** Whether proxies listen for the control plane to ask their Envoys. */
  readonly adminListener: boolean;
}

export function inspect(inspected: Inspected): Inspection {
  const { kinds, viewOf } = inspected;
  // What a data plane leaves out is left out here too; a Mesh it never does, and proxies are asked about.
  const isUsable = (one: Resource) => {
    const kind = kinds.byName(one.type);
    return ["Dataplane", "Mesh"].includes(one.type) ||
      (kind && whyUnusable(one, kind).length === 0);
  };
  const list: Inspected["list"] = (type, mesh) => inspected.list(type, mesh).filter(isUsable);
  const policies = kinds.all().filter(({ policy }) => policy);
  const proxy = asDataplane;
  const referable = ({ mesh }: Resource) => referableOf(viewOf(mesh));
  const rules = (dataplane: Resource) => {
    const mesh = list("Mesh").find(({ name }) => name === dataplane.mesh);
    assert(mesh, `${dataplane.name} is in a mesh`);
    return rulesOf(policies, {
      dataplane: proxy(dataplane),
      referable: referable(dataplane),
      destinations: { mesh, list: (type) => list(type, dataplane.mesh) },
      shadow: false,
    });
  };
  return {
    attachments(dataplane, type) {
      return attachmentsOf(viewOf(dataplane.mesh), proxy(dataplane), {
        kinds: type === undefined ? policies : policies.filter(({ name }) => name === type),
      });
    },
    concerns(policy, dataplane) {
      const kind = kinds.byName(policy.type);
      assert(kind, `${policy.type} is no kind`);
      return isUsable(policy) === true &&
        concernsDataplane(policy, proxy(dataplane), { kind, referable: referable(policy) });
    },
    rules,
    matchesHash,
    ruleAttachments: (dataplane) => ruleAttachments(proxy(dataplane), rules(dataplane)),
    config: ({ mesh, name }, by) =>
      configOf(viewOf(mesh), name, { ...inspected, ...by, kinds: policies }),
    gatewayOf: (dataplane) =>
      gatewayOf(proxy(dataplane), referable(dataplane).gateways) as Resource | undefined,
    servesGateway: (dataplane, gateway) =>
      servesGateway(proxy(dataplane), gateway as unknown as Resource<GatewaySpec>),
    servesRoute: (dataplane, route) =>
      servesRoute(proxy(dataplane), route, referable(dataplane).gateways),
  };
}
