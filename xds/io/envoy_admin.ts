// The control plane's client to Envoys' admin listeners.

import { Buffer } from "node:buffer";
import http from "node:http";
import https from "node:https";
import {
  ADMIN_SERVER,
  type AdminTls,
  type EnvoyAdmin,
  type EnvoyAnswer,
  type EnvoyQuestion,
} from "../../core/envoy_admin.ts";
import type { Resource, ResourceKey } from "../../core/resource.ts";
import { adminPath, type AdminPlace, adminPlace, withoutTokens } from "../envoy_admin.ts";

/** kuma@v2.13.10:pkg/envoy/admin/client.go. */
const ANSWER_MS_MAX = 5_000;
/** A proxy with ten thousand endpoints has a dump of some 20 MB. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;

export interface EnvoyAdminOptions {
  /** What this side presents and trusts. */
  readonly tls: AdminTls;
  readonly find: (key: ResourceKey) => Resource | undefined;
  /** Why a proxy that is known cannot be reached from here; null: it can. */
  readonly elsewhere: (proxy: Resource) => string | null;
}

export function envoyAdmin({ tls, find, elsewhere }: EnvoyAdminOptions): EnvoyAdmin {
  return async (key, question) => {
    const proxy = find(key);
    if (!proxy) return refused("unknown", `there is no ${key.type} "${key.name}"`);
    const why = elsewhere(proxy);
    if (why !== null) return refused("unreachable", why);
    const place = adminPlace(proxy);
    if (!place) return refused("unreachable", `${key.type} "${key.name}" has no address`);
    try {
      const body = await ask(place, { question, tls });
      const seen = question.kind === "xds" ? Buffer.from(withoutTokens(body.toString())) : body;
      return { ok: true, body: seen };
    } catch (error) {
      const at = `${place.address}:${place.port}`;
      return refused("failed", `Envoy's admin API at ${at}: ${(error as Error).message}`);
    }
  };
}

function refused(
  reason: "unknown" | "unreachable" | "failed",
  detail: string,
): EnvoyAnswer {
  return { ok: false, reason, detail };
}

function ask(
  { address, port, plain }: AdminPlace,
  { question, tls }: { readonly question: EnvoyQuestion; readonly tls: AdminTls },
): Promise<Buffer> {
  const common = {
    host: address,
    port,
    path: adminPath(question),
    agent: false as const,
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  };
  return new Promise((done, fail) => {
    const request = plain ? http.request(common) : https.request({
      ...common,
      // The listener's certificate is for what it is, not for where it is.
      servername: ADMIN_SERVER,
      ca: tls.trustedCa,
      cert: tls.certificateChain,
      key: tls.privateKey,
    });
    request.on("error", fail);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) return request.destroy(new Error("the answer is too long"));
        chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        const body = Buffer.concat(chunks);
        if (response.statusCode === 200) return done(body);
        fail(new Error(`it answers ${response.statusCode}: ${body.toString().slice(0, 200)}`));
      });
    });
    request.end();
  });
}
