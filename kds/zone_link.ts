// Where other zones reach a zone without global, and by which certificate they know it: told to global,
// which tells the others.

import { isObject, listOf } from "../core/json.ts";
import type { Draft, JsonObject, Resource } from "../core/resource.ts";

/** Ours: the sender understands links between zones, and stamps. */
export const URSA_ZONE_LINKS = "ursa-zone-links";

export interface ZoneLink {
  /** Name or address; empty: nobody can dial it, though it dials others. */
  readonly host: string;
  readonly port: number;
  /** PEM of the only certificate that it shows. */
  readonly certificate: string;
}

const NAME_PREFIX = "ursa-zone-link.";
const METADATA_KEY = "ursa-zone-link";
const HOST_CHARS_MAX = 253;
const CERTIFICATE_CHARS_MAX = 8 * 1024;

/** What a zone is called in its certificate. */
export function linkHost(zone: string): string {
  return `${zone}.zone.ursa`;
}

export function linkMetadata(link: ZoneLink): JsonObject {
  return { [METADATA_KEY]: { ...link } };
}

/** What a zone announces; null when it does not, or not in this form. */
export function announcedLink(metadata: JsonObject | undefined): ZoneLink | null {
  const knows = listOf(metadata?.["features"]).includes(URSA_ZONE_LINKS);
  return knows ? linkOf(metadata?.[METADATA_KEY]) : null;
}

/** As global keeps it, and as zones get it. */
export function writeLink(zone: string, link: ZoneLink): Draft {
  const config = JSON.stringify(link);
  return { type: "Config", mesh: "", name: linkName(zone), labels: {}, spec: { config } };
}

export function linkName(zone: string): string {
  return NAME_PREFIX + zone;
}

/** Whose link a Config is; null when it is none. */
export function zoneOfLink({ type, name }: Pick<Resource, "type" | "name">): string | null {
  return type === "Config" && name.startsWith(NAME_PREFIX) ? name.slice(NAME_PREFIX.length) : null;
}

export function readLink({ spec }: Pick<Resource, "spec">): ZoneLink | null {
  const { config } = spec;
  if (typeof config !== "string") return null;
  try {
    return linkOf(JSON.parse(config));
  } catch {
    return null;
  }
}

function linkOf(value: unknown): ZoneLink | null {
  if (!isObject(value)) return null;
  const { host, port, certificate } = value;
  if (typeof host !== "string" || host.length > HOST_CHARS_MAX || /[\s/]/.test(host)) return null;
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) return null;
  if (typeof certificate !== "string" || certificate.length > CERTIFICATE_CHARS_MAX) return null;
  return certificate.startsWith("-----BEGIN CERTIFICATE-----") ? { host, port, certificate } : null;
}
