// Services that are resources: the proxies that they stand for, and their ports. kuma@v2.13.10:pkg/core/resources/apis/{meshservice,meshexternalservice,meshmultizoneservice}.

import { listOf, objectOf, wordOf } from "./json.ts";
import type { JsonObject, Resource } from "./resource.ts";
import { matchesTags, type Tags } from "./tags.ts";

/** Any of the proxy's tag sets has to fit, or its name. */
export function selectsDataplane({ spec }: Resource, { name, spec: proxy }: Resource): boolean {
  const { dataplaneRef, dataplaneTags } = objectOf(spec["selector"]);
  if (dataplaneRef !== undefined) return objectOf(dataplaneRef)["name"] === name;
  if (dataplaneTags === undefined) return false;
  const { inbound, gateway } = objectOf(proxy["networking"]);
  const owners = [...listOf(inbound), gateway];
  return owners.some((owner) =>
    matchesTags(objectOf(dataplaneTags) as Tags, objectOf(objectOf(owner)["tags"]) as Tags)
  );
}

export const SERVICE_KINDS = [
  "MeshService",
  "MeshExternalService",
  "MeshMultiZoneService",
] as const;

export interface ServicePort {
  /** Its own, or its number. */
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** A MeshExternalService has one port: the one that it catches. */
export function portsOf({ type, spec }: Resource): readonly ServicePort[] {
  if (type === "MeshExternalService") {
    const { port, protocol } = objectOf(spec["match"]);
    return [portOf({ port: port ?? 0, appProtocol: protocol ?? "tcp" })];
  }
  return listOf(spec["ports"]).map(objectOf).map(portOf);
}

function portOf({ name, port, appProtocol }: JsonObject): ServicePort {
  return {
    name: wordOf(name || port),
    port: Number(port),
    protocol: wordOf(appProtocol ?? "tcp"),
  };
}
