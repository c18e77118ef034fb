// How a resource would look as a Kubernetes object: what `?format=k8s` answers.

import { MESH_LABEL } from "../core/names.ts";
import type { Json, JsonObject, Resource, ResourceDescriptor } from "../core/resource.ts";

const NAMESPACE = "kuma-system";

const SECRET_TYPES: Readonly<Record<string, string>> = {
  Secret: "system.kuma.io/secret",
  GlobalSecret: "system.kuma.io/global-secret",
};

/** Classic kinds that live in a namespace; every kind without a `message` does. */
const NAMESPACED = new Set([
  ...["Dataplane", "DataplaneInsight"],
  ...["ZoneIngress", "ZoneIngressInsight", "ZoneEgress", "ZoneEgressInsight"],
]);

/** kuma@v2.13.10:pkg/plugins/resources/k8s (the inferring mapper); labels do not come along. */
export function renderForK8s(
  resource: Resource,
  kind: ResourceDescriptor,
  namespace: string,
): JsonObject {
  const secretType = SECRET_TYPES[kind.name];
  if (secretType !== undefined) return renderSecret(resource, secretType, namespace);
  const isClassic = kind.message !== undefined;
  const { name, mesh, spec } = resource;
  const { status } = resource as { readonly status?: JsonObject };
  return {
    kind: kind.name,
    apiVersion: "kuma.io/v1alpha1",
    metadata: {
      name,
      ...((!isClassic || NAMESPACED.has(kind.name)) && { namespace: namespace || NAMESPACE }),
      creationTimestamp: inSeconds(resource.creationTime),
      ...(!isClassic && { labels: { [MESH_LABEL]: mesh } }),
    },
    ...(isClassic && mesh !== "" && { mesh }),
    spec,
    ...(status && { status }),
  };
}

function renderSecret(
  { name, mesh, spec, creationTime }: Resource,
  type: string,
  namespace: string,
) {
  return {
    kind: "Secret",
    apiVersion: "v1",
    metadata: {
      name,
      namespace: namespace || NAMESPACE,
      creationTimestamp: inSeconds(creationTime),
      ...(mesh !== "" && { labels: { [MESH_LABEL]: mesh } }),
    },
    data: { value: spec["data"] as Json ?? "" },
    type,
  };
}

function inSeconds(time: string): string {
  return time.replace(/\.\d+/, "");
}
