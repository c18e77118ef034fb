// Who asks, and what they may do: authentication and access control of the REST API.

import type { ResourceDescriptor } from "../core/resource.ts";
import type { ApiAnswer, ApiRequest, IncomingRequest } from "./exchange.ts";
import type { ApiView } from "./ports.ts";
import { problem } from "./problem.ts";

export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

/** What not everybody may do. kuma@v2.13.10:pkg/config/access. */
export type Action =
  | "adminResources"
  | "generateDpToken"
  | "generateZoneToken"
  | "generateUserToken"
  | "viewConfigDump"
  | "viewStats"
  | "viewClusters"
  | "controlPlaneMetadata";

/** Who may: named users, and members of any of the groups. */
export interface Grant {
  readonly users: readonly string[];
  readonly groups: readonly string[];
}

export type AccessRules = Readonly<Record<Action, Grant>>;

/** How the API learns who asks. */
export interface Authentication {
  /** Requests from this very machine are the administrator's. */
  readonly localhostIsAdmin: boolean;
  /** Holds a user token against the keys and revocations of this moment. */
  verify(jwt: string, nowMs: number): TokenCheck;
}

export type TokenCheck =
  | { readonly ok: true; readonly user: User }
  | { readonly ok: false; readonly message: string };

const AUTHENTICATED = "mesh-system:authenticated";
/** kuma@v2.13.10:pkg/core/user. */
export const ADMIN: User = { name: "mesh-system:admin", groups: ["mesh-system:admin"] };
const ANONYMOUS: User = { name: "mesh-system:anonymous", groups: ["mesh-system:unauthenticated"] };

/** Schemes are written in any case: RFC 9110 §11.1. */
const BEARER = /^bearer(?: +(.*))?$/i;
/** Their readers are not asked who they are, so that a stale token does not keep anybody out. */
const OPEN_TO_ALL = new Set(["", "healthy", "ready", "metrics"]);

/**
 * This machine first, then the token: who is the administrator by place needs none. A token that
 * does not hold is refused, for whoever sent it believes to be somebody.
 * kuma@v2.13.10:pkg/plugins/authn/api-server/tokens/authenticator.go.
 */
export function whoAsks(request: IncomingRequest, { authentication }: ApiView): User | ApiAnswer {
  if (authentication.localhostIsAdmin && isFromHere(request)) return authenticated(ADMIN);
  const given = BEARER.exec(request.headers.get("authorization") ?? "");
  if (!given || OPEN_TO_ALL.has(request.path[0] ?? "")) return ANONYMOUS;
  const check = authentication.verify(given[1] ?? "", request.atMs);
  return check.ok ? authenticated(check.user) : problem({
    status: 401,
    title: "Invalid authentication data",
    detail: check.message,
    headers: { "www-authenticate": "Bearer" },
  });
}

function authenticated({ name, groups }: User): User {
  return { name, groups: [...groups, AUTHENTICATED] };
}

export interface Asking {
  readonly request: ApiRequest;
  readonly view: ApiView;
}

/** The answer to whoever may not; null for who may. `what` completes "cannot …". */
export function refuse(action: Action, what: string, { request, view }: Asking): ApiAnswer | null {
  const { users, groups } = view.access[action];
  const { user } = request;
  if (users.includes(user.name) || user.groups.some((group) => groups.includes(group))) return null;
  const from = view.authentication.localhostIsAdmin
    ? ", or ask from the control plane's own machine, over a loopback address"
    : "";
  return problem({
    status: 403,
    title: "Access Denied",
    detail: `user "${user.name}/${user.groups.join(",")}" cannot ${what}: ` +
      `send a user token that may (Authorization: Bearer …)${from}`,
  });
}

/** Key material is for administrators. */
export function refuseKind(kind: ResourceDescriptor, asking: Asking): ApiAnswer | null {
  if (!kind.adminOnly) return null;
  return refuse("adminResources", `access the resource of type "${kind.name}"`, asking);
}

/** Envoy says by which protocol a request came, and by default not from where. */
const FORWARDED = [
  ...["forwarded", "via", "x-real-ip"],
  ...["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"],
];

/**
 * A request from this very machine, unless a proxy passed it on or a web page of another origin
 * made it (the Host check is what stops DNS rebinding).
 * kuma@v2.13.10:pkg/api-server/authn/localhost.go.
 */
function isFromHere(request: IncomingRequest): boolean {
  const { headers } = request;
  const host = headers.get("host") ?? "";
  if (!isLoopback(request.peer) || !isLoopback(hostnameOf(host))) return false;
  if (FORWARDED.some((name) => headers.has(name))) return false;
  if (!["", "same-origin", "none"].includes(headers.get("sec-fetch-site") ?? "")) return false;
  const origin = headers.get("origin");
  return origin === null || hostOfUrl(origin) === host;
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
