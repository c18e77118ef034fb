// What the dp-server answers beside discovery: bootstrap, and that a proxy drains or leaves.

import {
  type LeaveResult,
  PROXIES,
  type ProxiesMsg,
  type VouchResult,
} from "../actors/proxies/messages.ts";
import { isResourceName } from "../core/names.ts";
import type { ProxyKey } from "../core/proxy.ts";
import type { JsonObject } from "../core/resource.ts";
import { isObject } from "../core/json.ts";
import { certificateCovers, faultOfRoot } from "../identity/io/server_certificate.ts";
import { handleBootstrap } from "../dataplane/mod.ts";
import type { System } from "../actors/runtime/io/pump.ts";
import type { Parts } from "./run.ts";

/** At most one commit away; a disk that takes longer is an error to report. */
const ANSWER_MS = 10_000;

export async function answerHttp(
  request: Request,
  parts: Parts,
  system: System,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method !== "POST") return notFound();
  if (pathname === "/bootstrap") return await answerBootstrap(request, parts, system);
  if (pathname === "/ursa/drain") return await answerLeave(request, "drain", system);
  if (pathname === "/ursa/deregister") return await answerLeave(request, "deregister", system);
  return notFound();
}

/** kuma-dp takes this very text for "there is no such path", and an empty 404 for "not there yet". */
function notFound(): Response {
  return new Response("404: Page Not Found", { status: 404 });
}

async function answerBootstrap(request: Request, parts: Parts, system: System): Promise<Response> {
  const { store, kinds, certificate, config } = parts;
  const body = await bodyOf(request);
  const refusal = body && config.dpAuth === "token" ? await tokenRefusal(body, system) : null;
  if (refusal) return refusal;
  const named = `https://${request.headers.get("host") ?? ""}`;
  // What is no host is none that the certificate is for: the answer says so.
  const url = new URL(URL.canParse(named) ? named : request.url);
  const { status, body: text, contentType } = handleBootstrap(body, {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 443),
    caCert: certificate.cert,
    accept: request.headers.get("accept") ?? "",
    covers: (host) => certificateCovers(certificate.cert, host),
    faultOfRoot,
    reloadableTokens: config.reloadableTokens,
    reportsHealth: config.healthReportMs > 0,
    mesh: (name) => store.get({ type: "Mesh", mesh: "", name })?.spec,
    validate: (type, spec) => kinds.byName(type)?.validate(spec) ?? [],
    find: (key) => store.get(key)?.spec,
  });
  return new Response(text, { status, headers: { "content-type": contentType } });
}

/**
 * Here, where somebody reads the answer: later only Envoy would hear of it. A proxy that names but
 * a file shows its token when it opens its stream. 4xx: it need not try again.
 */
async function tokenRefusal(body: JsonObject, system: System): Promise<Response | null> {
  const { dataplaneToken: token, dataplaneTokenPath: path, proxyType, mesh, name } = body;
  const proxy = proxyOf({ type: proxyType ?? "", mesh: mesh ?? "", name: name ?? "" });
  // Others are refused as such.
  const isServed = ["", "dataplane", "ingress"].includes(String(proxyType ?? ""));
  if (!proxy || !isServed || (!token && path)) return null;
  const vouched = await system.ask<VouchResult>(
    PROXIES,
    (reply): ProxiesMsg => ({ tag: "vouch", proxy, credential: String(token ?? ""), reply }),
    ANSWER_MS,
  );
  if (vouched.ok) return null;
  return new Response(vouched.message, { status: vouched.passing ? 503 : 422 });
}

async function answerLeave(
  request: Request,
  how: "drain" | "deregister",
  system: System,
): Promise<Response> {
  const body = await bodyOf(request) ?? {};
  const proxy = proxyOf(body);
  if (!proxy) return Response.json({ error: "mesh, name and type are needed" }, { status: 400 });
  const credential = request.headers.get("authorization");
  const instance = typeof body["instance"] === "string" ? body["instance"] : "";
  const result = await system.ask<LeaveResult>(
    PROXIES,
    (reply): ProxiesMsg => ({ tag: "leave", proxy, instance, how, credential, reply }),
    ANSWER_MS,
  );
  if (result.ok) return Response.json({});
  if (result.reason === "unauthorized") {
    return Response.json({ error: result.message }, { status: 401 });
  }
  const status = result.reason === "unknown" ? 404 : result.reason === "superseded" ? 409 : 503;
  return Response.json({ error: result.reason }, { status });
}

/** Null when it is no JSON object. */
async function bodyOf(request: Request): Promise<JsonObject | null> {
  try {
    const body: unknown = await request.json();
    return isObject(body) ? body : null;
  } catch {
    return null;
  }
}

function proxyOf({ type, mesh = "", name }: JsonObject): ProxyKey | null {
  if (typeof name !== "string" || typeof mesh !== "string" || !isResourceName(name)) return null;
  if (type === "ingress" || type === "ZoneIngress") return { type: "ingress", mesh: "", name };
  return mesh === "" || isResourceName(mesh) ? { type: "dataplane", mesh, name } : null;
}
