// Names that reach wires: legal ones, `.mesh` ones, hashed ones, SNI.

import { MESH_TAG, SERVICE_TAG, sortedEntries, type Tags, withoutTag } from "./tags.ts";

export const DISPLAY_NAME_LABEL = "kuma.io/display-name";
export const ORIGIN_LABEL = "kuma.io/origin";
export const ZONE_LABEL = "kuma.io/zone";
export const NAMESPACE_LABEL = "k8s.kuma.io/namespace";
export const MESH_LABEL = "kuma.io/mesh";
/** Kuma derives a proxy's workload from this label of its Dataplane. */
export const WORKLOAD_LABEL = "kuma.io/workload";

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** RFC 1123 subdomain of at most 253 characters: what every resource name must be. */
export function isResourceName(name: string): boolean {
  return name.length > 0 && name.length <= 253 && SUBDOMAIN.test(name);
}

/** A zone's name is part of tags, labels, names and paths: a DNS label. */
export function isZoneName(name: string): boolean {
  return /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name);
}

/**
 * The SNI by which zone ingresses route: `service{k=v,…,mesh=M}`, keys sorted, without the service tag.
 * kuma@v2.13.10:pkg/xds/envoy/tls (SNIFromTags).
 */
export function sniOf(tags: Tags, mesh: string): string {
  const rest = sortedEntries({ ...withoutTag(withoutTag(tags, SERVICE_TAG), MESH_TAG), mesh });
  return `${tags[SERVICE_TAG]}{${rest.map(([key, value]) => `${key}=${value}`).join(",")}}`;
}

/**
 * Host names of a service, the plain one first: a service name may have underscores, which no host
 * name may, so it is known with dots too. kuma@v2.13.10:pkg/dns/vips_allocator.go.
 */
export function meshHostnames(service: string, domain = "mesh"): readonly string[] {
  const dotted = service.replaceAll("_", ".");
  return dotted === service
    ? [`${service}.${domain}`]
    : [`${service}.${domain}`, `${dotted}.${domain}`];
}

/** What makes a resource's name unique over all zones. */
export interface NameParts {
  readonly mesh: string;
  readonly displayName: string;
  /** Value of its `kuma.io/zone` label, if it has one. */
  readonly zone?: string;
  /** Value of its `k8s.kuma.io/namespace` label, if it has one. */
  readonly namespace?: string;
}

/** Room for "-" and the hash in 253 characters. */
const HASHED_NAME_PREFIX_MAX = 236;
/** Letters that form no words: those of Kubernetes' generated names. */
const SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/**
 * The name by which other control planes know a resource: its own, cut, and a hash of what makes
 * it unique. kuma@v2.13.10:pkg/kds/hash/hash.go; two of its 16 digits map to one letter, and stay so.
 */
export function hashedName({ mesh, displayName, zone = "", namespace = "" }: NameParts): string {
  const digits = fnv1a64(mesh + displayName + zone + namespace);
  const safe = Array.from(
    digits,
    (digit) => SAFE_ALPHABET[digit.charCodeAt(0) % SAFE_ALPHABET.length],
  );
  return `${displayName.slice(0, HASHED_NAME_PREFIX_MAX)}-${safe.join("")}`;
}

const utf8 = new TextEncoder();

/** 16 hexadecimal digits. In halves of 32 bits: numbers of 64 are many times as slow. */
function fnv1a64(text: string): string {
  let high = 0xcbf2_9ce4;
  let low = 0x8422_2325;
  for (const byte of utf8.encode(text)) {
    low = (low ^ byte) >>> 0;
    // Times 2^40 + 0x1b3: the first factor moves the low half up by 40 bits.
    const product = low * 0x1b3;
    const carry = Math.floor(product / 2 ** 32);
    high = (Math.imul(high, 0x1b3) + carry + (low << 8)) >>> 0;
    low = product >>> 0;
  }
  return [high, low].map((half) => half.toString(16).padStart(8, "0")).join("");
}
