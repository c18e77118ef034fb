// What the control plane tells about itself: the fixed endpoints.

import { KUMA_VERSION } from "../core/kuma.ts";
import type { Json, JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import { refuse } from "./access.ts";
import {
  answer,
  type ApiAnswer,
  type ApiOutcome,
  type ApiRequest,
  json,
  text,
} from "./exchange.ts";
import { whyReadOnly } from "./permitted.ts";
import type { ApiView, ControlPlane, Kinds } from "./ports.ts";
import { notAllowed, problem } from "./problem.ts";
import { displayName, pluralDisplayName } from "./render.ts";
import { type Call, get, type Route } from "./route.ts";

export const CONTROL_PLANE_ROUTES: readonly Route[] = [
  get("/", ({ view }) => index(view.control)),
  get("/config", config),
  get("/policies", ({ view }) => policies(view)),
  get("/_resources", ({ view }) => kindList(view)),
  get("/who-am-i", ({ request }) => identity(request)),
  get("/healthy", () => text("healthy\n")),
  get("/ready", ({ view }) => ready(view)),
  get("/metrics", ({ view }) => text(view.metrics(), 200, METRICS_TYPE)),
  get("/debug/actors", ({ request, view }) => actors(request, view)),
  get("/zone-links", ({ view }) => zoneLinks(view)),
  { method: "GET", path: "/receipts/{revision}", handler: receipt },
  get("/joining", ({ view }) => joining(view.control)),
  { method: "POST", path: "/uplink/accept-global", handler: acceptGlobal },
];

const METRICS_TYPE = "text/plain; version=0.0.4";

/** kumactl refuses a product other than "Kuma"; kumactl 0.7 reads `tagline` instead. */
function index(control: ControlPlane): ApiAnswer {
  const { hostname, instanceId, clusterId, mode, zone, version } = control;
  return json({
    hostname,
    product: "Kuma",
    tagline: "Kuma",
    version: KUMA_VERSION,
    instanceId,
    clusterId,
    basedOnKuma: KUMA_VERSION,
    mode,
    ...(zone !== "" && { zone }),
    ursaVersion: version,
  });
}

function joining({ joining, mode }: ControlPlane): ApiAnswer {
  if (joining) return json({ ...joining });
  const detail = `zones join a global, and this control plane is a ${mode}`;
  return problem({ status: 404, title: "Not found", detail });
}

function config(call: Call): ApiAnswer {
  const denied = refuse("controlPlaneMetadata", "see the configuration", call);
  return denied ?? json(masked(call.view.control.config));
}

/** Values of keys that name a secret are not for every reader; an empty one says so. */
export function masked(value: Json): Json {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([key, inner]) => [
      key,
      SECRET_KEY.test(key) && typeof inner === "string" && inner !== "" ? "*****" : masked(inner),
    ]),
  );
}

const SECRET_KEY = /(password|passphrase|secret|token|privateKey)$/i;

function policies({ kinds, control }: ApiView): ApiAnswer {
  return json({
    policies: listed(kinds).filter(({ policy }) => policy).map((kind) => ({
      name: kind.name,
      readOnly: whyReadOnly(kind, control) !== null,
      path: kind.plural,
      singularDisplayName: displayName(kind.name),
      pluralDisplayName: pluralDisplayName(kind.name),
      isExperimental: false,
      isTargetRefBased: kind.policy?.targetRef ?? false,
      isInbound: kind.policy?.from ?? false,
      isOutbound: kind.policy?.to ?? false,
    })),
  });
}

/** To Kuma's tools everything in a zone with a global is read-only: seen with Kuma 2.13.10. */
function kindList({ kinds, control }: ApiView): ApiAnswer {
  return json({
    resources: listed(kinds).map((kind) => ({
      name: kind.name,
      scope: kind.scope,
      readOnly: control.federated || (kind.readOnly ?? false),
      path: kind.plural,
      singularDisplayName: displayName(kind.name),
      pluralDisplayName: pluralDisplayName(kind.name),
      includeInFederation: TRAVEL[kind.kds].down && !kind.readOnly,
      shortName: kind.shortName ?? "",
      ...(kind.policy && {
        policy: {
          isTargetRef: kind.policy.targetRef ?? false,
          hasToTargetRef: kind.policy.to ?? false,
          hasFromTargetRef: kind.policy.from ?? false,
          isFromAsRules: kind.policy.fromAsRules ?? false,
        },
      }),
    })),
  });
}

function identity(request: ApiRequest): ApiAnswer {
  const { name, groups } = request.user;
  return json({ name, groups });
}

function ready(view: ApiView): ApiAnswer {
  return view.ready() ? text("ready\n") : text("not ready yet\n", 503);
}

function actors(request: ApiRequest, view: ApiView): ApiAnswer {
  const denied = refuse("adminResources", "look at the actors", { request, view });
  if (denied) return denied;
  const items = view.actors().map((actor) => ({ ...actor }));
  return json({ total: items.length, items });
}

/** How the zone stands with the others, for when global is gone: names, times and reasons. */
function zoneLinks({ actors, control }: ApiView): ApiAnswer {
  const found = actors().find(({ path }) => path === "peers");
  if (found) return json({ ...found.state });
  const detail = control.mode === "remote"
    ? "this zone has no links with others: --zone-links false"
    : `links are between the zones of a global, and this control plane is a ${control.mode}`;
  return problem({ status: 404, title: "Not found", detail });
}

/** Waiting is bounded, so that a client's time-out comes after ours. */
const WAIT_MS_MAX = 60_000;

function receipt({ request, params: { revision = "" } }: Call): ApiOutcome {
  const wait = request.query.get("wait") ?? "0";
  if (!/^\d{1,15}$/.test(revision) || !/^\d{1,9}$/.test(wait)) {
    const field = /^\d{1,15}$/.test(revision) ? "wait" : "revision";
    return answer(problem({
      status: 400,
      title: "Bad Request",
      detail: `${field} must be a whole number`,
      violations: [{ path: field, message: "must be a whole number" }],
    }));
  }
  return {
    do: "await_receipt",
    revision: Number(revision),
    waitMs: Math.min(Number(wait), WAIT_MS_MAX),
    then: (found) =>
      found ? json({ ...found } as unknown as JsonObject) : problem({
        status: 404,
        title: "Could not retrieve a receipt",
        detail: `no receipt of revision ${revision}: it is unknown, or too old to be kept`,
      }),
  };
}

function acceptGlobal({ request, view }: Call): ApiOutcome {
  if (!view.control.federated) {
    return answer(notAllowed("Only a zone that has a global control plane can accept one.\n"));
  }
  const denied = refuse("adminResources", "choose the global control plane", { request, view });
  if (denied) return answer(denied);
  return {
    do: "accept_global",
    then: ({ accepted, message }) =>
      accepted
        ? json({ accepted, message })
        : problem({ status: 409, title: "Conflict", detail: message }),
  };
}

function listed(kinds: Kinds): readonly ResourceDescriptor[] {
  return [...kinds.all()].filter(({ internal }) => !internal)
    .sort((a, b) => a.name < b.name ? -1 : 1);
}
