// The protocol of a service, when its instances do not agree. kuma@v2.13.10:pkg/core/resources/apis/mesh (protocol stacks).

import type { Protocol } from "../core/mesh_view.ts";
import { PROTOCOL_TAG, type Tags } from "../core/tags.ts";

/** Each protocol, and what it may be treated as, best first. */
const STACKS: Readonly<Record<Protocol, readonly Protocol[]>> = {
  grpc: ["grpc", "http2", "tcp"],
  http2: ["http2", "tcp"],
  http: ["http", "tcp"],
  kafka: ["kafka", "tcp"],
  tls: ["tls", "tcp"],
  mysql: ["mysql", "tcp"],
  tcp: ["tcp"],
  unknown: ["unknown"],
};

export function protocolOf(tags: Tags): Protocol {
  const value = tags[PROTOCOL_TAG];
  return value !== undefined && Object.hasOwn(STACKS, value) ? value as Protocol : "unknown";
}

/** The first protocol that both can be treated as; with an unknown one nothing is known. */
function commonProtocol(a: Protocol, b: Protocol): Protocol {
  if (a === "unknown" || b === "unknown") return "unknown";
  return STACKS[a].find((protocol) => STACKS[b].includes(protocol)) ?? "tcp";
}

export function foldProtocols(protocols: readonly Protocol[]): Protocol {
  return protocols.length === 0 ? "unknown" : protocols.reduce(commonProtocol);
}
