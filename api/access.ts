// Who asks: whether a request counts as the administrator's.

import type { ApiRequest } from "./exchange.ts";

const FORWARDED = ["forwarded", "x-forwarded-for", "x-real-ip"];

/**
 * A request from this very machine is the administrator's, unless a proxy passed it on or a web
 * page of another origin made it (the Host check is what stops DNS rebinding).
 * kuma@v2.13.10:pkg/plugins/authn/api-server/localhost.
 */
export function isAdmin(request: ApiRequest): boolean {
  const { headers } = request;
  const host = headers.get("host") ?? "";
  if (!isLoopback(request.peer) || !isLoopback(hostnameOf(host))) return false;
  if (FORWARDED.some((name) => headers.has(name))) return false;
  if (!["", "same-origin", "none"].includes(headers.get("sec-fetch-site") ?? "")) return false;
  const origin = headers.get("origin");
  return origin === null || hostOfUrl(origin) === host;
}

export function whoAmI(admin: boolean): { name: string; groups: string[] } {
  return admin
    ? { name: "mesh-system:admin", groups: ["mesh-system:admin", "mesh-system:authenticated"] }
    : { name: "mesh-system:anonymous", groups: ["mesh-system:unauthenticated"] };
}

function isLoopback(name: string): boolean {
  return name === "localhost" || name === "::1" || /^(::ffff:)?127(\.\d{1,3}){3}$/.test(name);
}

function hostnameOf(host: string): string {
  return host.startsWith("[") ? host.slice(1, host.indexOf("]")) : host.replace(/:\d*$/, "");
}

function hostOfUrl(url: string): string | null {
  return URL.canParse(url) ? new URL(url).host : null;
}
