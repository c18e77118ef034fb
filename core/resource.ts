// What every mesh resource is made of, and what is known about a kind of resource.

import type { Note, Violation } from "./violation.ts";

/** JSON as it travels over REST, in the proto3 JSON mapping (lowerCamelCase). */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export type Labels = Readonly<Record<string, string>>;

/**
 * Identity of a resource. `mesh` is "" for kinds of global scope.
 * `type` is Kuma's bare type name, such as "TrafficRoute".
 */
export interface ResourceKey {
  readonly type: string;
  readonly mesh: string;
  readonly name: string;
}

/** A resource as the control plane holds it. Never mutated: a change is a new object. */
export interface Resource<Spec = JsonObject> extends ResourceKey {
  readonly labels: Labels;
  /**
   * Of a kind with a `message`, its proto3 JSON: the part of the REST object that is not meta.
   * Of others, the JSON under `spec`.
   */
  readonly spec: Spec;
  /** What control planes found out about it; only of kinds with `hasStatus`, never a user's. */
  readonly status?: JsonObject;
  /** Revision of the commit that wrote this state; the value that `If-Match` compares. */
  readonly version: number;
  /** RFC 3339. */
  readonly creationTime: string;
  readonly modificationTime: string;
}

/** A resource on its way into the store: version and times are the store's to give. */
export type Draft<Spec = JsonObject> = Pick<
  Resource<Spec>,
  "type" | "mesh" | "name" | "labels" | "spec" | "status"
>;

export type Scope = "Mesh" | "Global";

/**
 * Which way a kind travels between global and zones; the classes of Kuma's KDS flags.
 * - "global": written on global, copied to every zone (Mesh, classic policies)
 * - "shared": as "global", but a zone may hold its own, which stay there (Secret, Config)
 * - "both": as "global", and a zone may hold its own, which global sees (MeshGateway)
 * - "policy": as "both", and what a zone's producers wrote goes on to the other zones (MeshTimeout)
 * - "zone": written in a zone, copied to global (Dataplane, insights)
 * - "across": as "zone", and from global to the other zones (ZoneIngress, MeshService)
 * - "local": never travels (Zone, ZoneInsight)
 */
export type KdsClass = "global" | "shared" | "both" | "policy" | "zone" | "across" | "local";

/** What `/_resources` and `/policies` tell of a policy, and what its spec may have. */
export interface PolicyFacts {
  /** By `spec.targetRef`; a classic policy selects by tags. */
  readonly targetRef?: true;
  readonly to?: true;
  readonly from?: true;
  readonly rules?: true;
  /** What stands under `from` means what it would mean under `rules`. */
  readonly fromAsRules?: true;
  /** Not found by asking which policies a proxy has. */
  readonly uninspectable?: true;
}

/** Every one-line fact about a kind; REST paths, CLI words and KDS directions derive from it. */
export interface ResourceDescriptor {
  /** Type name, also KDS's bare type URL. */
  readonly name: string;
  /** REST collection, such as "traffic-routes". */
  readonly plural: string;
  /** Further REST collections that answer the same. */
  readonly alternativePlurals?: readonly string[];
  /** Words that `ctl get|delete` knows it by; the first is the singular. */
  readonly args: readonly string[];
  readonly scope: Scope;
  readonly kds: KdsClass;
  /** Full protobuf message name of the spec; without one it is JSON on every wire. */
  readonly message?: string;
  readonly hasStatus?: true;
  /** What is written into specs of users where it was left out, by path: `ports[].appProtocol`. */
  readonly defaults?: Readonly<Record<string, Json>>;
  /** KRI short name, when Kuma gives it one. */
  readonly shortName?: string;
  /** Written by control planes alone: no PUT or DELETE through REST. */
  readonly readOnly?: boolean;
  /** Not on REST at all (Config). */
  readonly internal?: boolean;
  /** Holds key material: for administrators, and masked in dumps. */
  readonly adminOnly?: boolean;
  /** The kind whose state this one reports ("Dataplane" for DataplaneInsight). */
  readonly insightOf?: string;
  /** Only of policies. */
  readonly policy?: PolicyFacts;
  /** Accepted, kept and passed on, but no proxy behaves differently for it yet. */
  readonly withoutEffect?: true;
  /** Keeps its name when KDS copies it (Mesh, Secret, GlobalSecret, Config). */
  readonly keepsName?: boolean;
  /** All violations of the spec at once, each with its path. Never throws, whatever the input. */
  readonly validate: (spec: unknown) => readonly Violation[];
  /** What of the spec has no effect, or is unknown here; never throws either. */
  readonly notes?: (spec: unknown) => readonly Note[];
}

/** Text form of a key, unique over all kinds: usable as a Map key and readable in logs. */
export function keyText(key: ResourceKey): string {
  return `${key.type}/${key.mesh}/${key.name}`;
}

/** Byte order by mesh, then name: the order of every list the outside sees. */
export function byMeshAndName(a: ResourceKey, b: ResourceKey): number {
  return compareText(a.mesh, b.mesh) || compareText(a.name, b.name);
}

/** Code-unit order, independent of locale, so that equal state gives equal bytes everywhere. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
