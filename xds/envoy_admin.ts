// What is asked of Envoy's admin API for a proxy, where, and what of the answer may be seen.

import { ADMIN_PORT, type EnvoyQuestion } from "../core/envoy_admin.ts";
import { isObject, objectOf } from "../core/json.ts";
import type { Json, JsonObject, Resource } from "../core/resource.ts";

export interface AdminPlace {
  readonly address: string;
  readonly port: number;
  /** Its own machine reaches it as it is; everybody else through the admin listener, with TLS. */
  readonly plain: boolean;
}

const LOCAL = "127.0.0.1";

/** Null for a resource without an address. kuma@v2.13.10:pkg/core/resources/apis/mesh (AdminAddress). */
export function adminPlace(proxy: Resource): AdminPlace | null {
  const networking = objectOf(proxy.spec["networking"]);
  const advertised = proxy.type === "Dataplane" ? networking["advertisedAddress"] : "";
  const address = advertised || networking["address"];
  if (typeof address !== "string" || address === "") return null;
  const port = objectOf(networking["admin"])["port"];
  return {
    address,
    port: typeof port === "number" && port > 0 ? port : ADMIN_PORT,
    plain: address === LOCAL,
  };
}

export function adminPath(question: EnvoyQuestion): string {
  switch (question.kind) {
    case "xds":
      return question.includeEds ? "/config_dump?include_eds" : "/config_dump";
    case "stats":
      return withQuery("/stats", [
        ...(question.format === "json" ? ["format=json"] : []),
        ...(question.usedOnly ? ["usedonly"] : []),
      ]);
    case "clusters":
      return withQuery("/clusters", question.format === "json" ? ["format=json"] : []);
  }
}

function withQuery(path: string, words: readonly string[]): string {
  return words.length === 0 ? path : `${path}?${words.join("&")}`;
}

const REDACTED = "[redacted]";
/** A proxy has one; each is looked for in all of the answer, which is whoever runs the proxy's to make. */
const TOKENS_MAX = 8;

/**
 * A configuration without the tokens that the proxy presents; Envoy itself leaves private keys
 * out. Throws a SyntaxError when it is no JSON, since then nobody knows what is in it, and a
 * RangeError when it has more tokens than any proxy.
 */
export function withoutTokens(dump: string): string {
  const config = JSON.parse(dump) as Json;
  const tokens = [...new Set(tokensIn(config))];
  if (tokens.length === 0) return dump;
  if (tokens.length > TOKENS_MAX) {
    throw new RangeError(`its configuration has ${tokens.length} tokens, no proxy has so many`);
  }
  const redact = (value: Json): Json => {
    if (typeof value === "string") {
      return tokens.reduce((text, token) => text.replaceAll(token, REDACTED), value);
    }
    if (Array.isArray(value)) return value.map(redact);
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, redact(inner)]));
  };
  return JSON.stringify(redact(config), null, 1);
}

/** Values of `authorization` in any `initial_metadata`, longest first. */
function tokensIn(config: Json): readonly string[] {
  const found: string[] = [];
  const look = (value: Json): void => {
    if (Array.isArray(value)) return value.forEach(look);
    if (!isObject(value)) return;
    for (const [key, inner] of Object.entries(value as JsonObject)) {
      if (key === "initial_metadata" && Array.isArray(inner)) found.push(...inner.flatMap(tokenOf));
      look(inner);
    }
  };
  look(config);
  return found.sort((a, b) => b.length - a.length);
}

function tokenOf(entry: Json): readonly string[] {
  const { key, value } = objectOf(entry);
  return key === "authorization" && typeof value === "string" && value !== "" ? [value] : [];
}
