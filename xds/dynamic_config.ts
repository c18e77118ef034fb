// What the dp process polls from its Envoy, on a socket of its own. kuma@v2.13.10:pkg/xds/dynconf/listener.go.

import type { ProxyNode } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { dynamicConfigSocket } from "../core/sockets.ts";
import { sha256Hex } from "../core/version.ts";
import { systemHttp } from "./envoy/listener.ts";
import type { SnapshotBuilder } from "./resources.ts";
import { TYPES } from "./snapshot.ts";

const LISTENER = "_kuma:dynamicconfig";

/** Texts by path; whoever has a text already, and says so by its ETag, is not sent it again. */
export function addDynamicConfig(
  snapshot: SnapshotBuilder,
  { workdir }: ProxyNode,
  texts: Readonly<Record<string, string>>,
): void {
  const entries = Object.entries(texts);
  const sizes = entries.map(([, text]) => new TextEncoder().encode(text).length);
  snapshot.add(TYPES.listener, {
    name: LISTENER,
    address: { pipe: { path: dynamicConfigSocket(workdir) } },
    filter_chains: [{
      filters: [systemHttp(LISTENER, {
        // Envoy's own limit is 4 KiB.
        max_direct_response_body_size_bytes: Math.max(...sizes),
        virtual_hosts: [{
          name: LISTENER,
          domains: ["*"],
          routes: entries.flatMap(([path, text]) => routesOf(path, text)),
        }],
      })],
    }],
  });
}

function routesOf(path: string, text: string): readonly JsonObject[] {
  const etag = sha256Hex(text);
  return [
    {
      match: { path, headers: [{ name: "If-None-Match", string_match: { exact: etag } }] },
      direct_response: { status: 304 },
    },
    {
      name: `${LISTENER}:${path}`,
      match: { path },
      response_headers_to_add: [{ header: { key: "Etag", value: etag } }],
      direct_response: { status: 200, body: { inline_string: text } },
    },
  ];
}
