// Inspection over views of meshes: the answers, from what generation stands on.

import { assert } from "../../core/assert.ts";
import type { DataplaneSpec } from "../../core/dataplane.ts";
import type { Inspection } from "../../core/inspection.ts";
import type { KindTable } from "../../core/kind_table.ts";
import type { MeshView } from "../../core/mesh_view.ts";
import type { Resource } from "../../core/resource.ts";
import { gatewayOf, type GatewaySpec } from "../../policies/match/target_ref.ts";
import { attachmentsOf, concernsDataplane, referableOf } from "./attachments.ts";
import { servesGateway, servesRoute } from "./gateways.ts";

/** `viewOf` gives the view of a mesh that is there, with policies of every kind. */
export function inspect(viewOf: (mesh: string) => MeshView, kinds: KindTable): Inspection {
  const policies = kinds.all().filter(({ policy }) => policy);
  const proxy = (dataplane: Resource) => dataplane as unknown as Resource<DataplaneSpec>;
  const referable = ({ mesh }: Resource) => referableOf(viewOf(mesh));
  return {
    attachments(dataplane, type) {
      return attachmentsOf(viewOf(dataplane.mesh), proxy(dataplane), {
        kinds: type === undefined ? policies : policies.filter(({ name }) => name === type),
      });
    },
    concerns(policy, dataplane) {
      const kind = kinds.byName(policy.type);
      assert(kind, `${policy.type} is no kind`);
      return concernsDataplane(policy, proxy(dataplane), { kind, referable: referable(policy) });
    },
    gatewayOf: (dataplane) =>
      gatewayOf(proxy(dataplane), referable(dataplane).gateways) as Resource | undefined,
    servesGateway: (dataplane, gateway) =>
      servesGateway(proxy(dataplane), gateway as unknown as Resource<GatewaySpec>),
    servesRoute: (dataplane, route) =>
      servesRoute(proxy(dataplane), route, referable(dataplane).gateways),
  };
}
