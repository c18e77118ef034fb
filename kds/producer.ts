// Which policies of a zone are meant for its callers in other zones.

import { isObject, objectOf } from "../core/json.ts";
import { NAMESPACE_LABEL } from "../core/names.ts";
import type { Resource } from "../core/resource.ts";

const POLICY_ROLE_LABEL = "kuma.io/policy-role";

/**
 * Whether its owner speaks for services of its own namespace alone: by its label, and again by its
 * content, in case nobody looked when it was written. Policies of Universal zones are never such.
 * kuma@v2.13.10:pkg/core/resources/model/resource.go (ComputePolicyRole)
 */
export function isProducer({ labels, spec }: Resource): boolean {
  const namespace = labels[NAMESPACE_LABEL] ?? "";
  const { to, from } = spec;
  return labels[POLICY_ROLE_LABEL] === "producer" && namespace !== "" &&
    Array.isArray(to) && to.length > 0 && !(Array.isArray(from) && from.length > 0) &&
    to.every((item) => speaksForOwn(objectOf(item).targetRef, namespace));
}

function speaksForOwn(targetRef: unknown, namespace: string): boolean {
  if (!isObject(targetRef)) return false;
  const { kind, name, namespace: target = "" } = targetRef;
  return (kind === "MeshService" || kind === "MeshHTTPRoute") &&
    typeof name === "string" && name !== "" && (target === "" || target === namespace);
}
