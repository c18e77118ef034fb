// How a zone's end of KDS may differ from ours in a simulated world: another version that cannot read
// everything, one that refuses what it could take, one that knows nothing of what only Ursa says.

import type { JsonObject } from "../core/resource.ts";
import type { KdsItem, KdsRequest, KdsResponse } from "../kds/wire.ts";

export class Quirks {
  /** What has this text in it cannot be read. */
  garbled = "";
  /** Types of which nothing can be read, and whose every response is rejected. */
  readonly refused = new Set<string>();
  /** Neither side hears what only Ursa says it can: both take each other for Kuma's. */
  plain = false;

  /** What global sends, as the zone understands it. */
  heard(response: KdsResponse): KdsResponse {
    const isRefused = this.refused.has(response.typeUrl);
    const resources = isRefused || this.garbled !== ""
      ? response.resources.map((item) => isRefused || this.#isGarbled(item) ? broken(item) : item)
      : response.resources;
    return { ...response, resources };
  }

  /** What either side asks and answers, as the other understands it. */
  said(request: KdsRequest): KdsRequest {
    const { typeUrl, nonce, metadata, error } = request;
    const isRefused = nonce !== "" && this.refused.has(typeUrl);
    return {
      ...request,
      ...(isRefused && { error: error ?? `${typeUrl} is not to my liking` }),
      ...(this.plain && metadata && { metadata: withoutOurs(metadata) }),
    };
  }

  #isGarbled(item: KdsItem): boolean {
    return new TextDecoder("latin1").decode(item.bytes).includes(this.garbled);
  }
}

function broken(item: KdsItem): KdsItem {
  return { ...item, bytes: Uint8Array.of(0xff, 0xff) };
}

function withoutOurs(metadata: JsonObject): JsonObject {
  const { features } = metadata;
  if (!Array.isArray(features)) return metadata;
  return { ...metadata, features: features.filter((name) => !String(name).startsWith("ursa-")) };
}
