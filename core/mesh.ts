// The Mesh and what belongs to it: its spec and its secrets.

import { CERTIFICATE_LIFETIME_MIN_MS } from "./limits.ts";
import { constraints, type MembershipRules } from "./membership.ts";
import { logging, metrics, tracing } from "./mesh_telemetry.ts";
import { isResourceName } from "./names.ts";
import {
  bool,
  type Check,
  checkedBy,
  type Fields,
  join,
  kept,
  list,
  noEffect,
  nonEmptyText,
  object,
  oneOf,
  refuse,
  type Report,
  show,
  text,
  violationsOf,
} from "./shape.ts";
import { renderViolation } from "./violation.ts";
import { isObject } from "./json.ts";

/** kuma.mesh.v1alpha1.Mesh in JSON: what has an effect here. */
export interface MeshSpec {
  readonly mtls?: {
    readonly enabledBackend?: string;
    readonly backends?: readonly CaBackend[];
    readonly skipValidation?: boolean;
  };
  readonly routing?: {
    readonly localityAwareLoadBalancing?: boolean;
    readonly zoneEgress?: boolean;
  };
  readonly networking?: { readonly outbound?: { readonly passthrough?: boolean } };
  readonly meshServices?: { readonly mode?: string };
  readonly skipCreatingInitialPolicies?: readonly string[];
  readonly constraints?: { readonly dataplaneProxy?: MembershipRules };
}

export interface CaBackend {
  readonly name: string;
  /** "builtin": made here; "provided": the operator's own. */
  readonly type: string;
  readonly mode?: "STRICT" | "PERMISSIVE";
  readonly dpCert?: { readonly rotation?: { readonly expiration?: string } };
  readonly conf?: {
    readonly caCert?: { readonly RSAbits?: number; readonly expiration?: string };
    readonly cert?: DataSource;
    readonly key?: DataSource;
  };
}

/** kuma.system.v1alpha1.DataSource: one of them. */
export interface DataSource {
  /** Name of a Secret of the same mesh. */
  readonly secret?: string;
  /** Base64. */
  readonly inline?: string;
  readonly inlineString?: string;
}

/** kuma.system.v1alpha1.Secret: `data` is base64. GlobalSecret has the same shape. */
export interface SecretSpec {
  readonly data?: string;
}

/** kuma.system.v1alpha1.Config: internal key-value state such as virtual IPs and the cluster id. */
export interface ConfigSpec {
  readonly config?: string;
}

/** What a peer, or a stored row, says that has no name is left out: nobody could refer to it. */
export function caBackends({ mtls }: MeshSpec): readonly CaBackend[] {
  const backends: unknown = mtls?.backends;
  if (!Array.isArray(backends)) return [];
  return backends.filter((backend) => isObject(backend) && typeof backend.name === "string");
}

/**
 * The backend that signs now, or undefined when the mesh has no mutual TLS. One that is enabled and
 * not there comes from a peer: it must not look as if nothing were enabled.
 */
export function enabledBackend(spec: MeshSpec): CaBackend | undefined {
  const { mtls = null } = spec;
  if (mtls !== null && !isObject(mtls)) return { name: show(mtls), type: "" };
  const name: unknown = mtls?.enabledBackend;
  if (!name) return undefined;
  return caBackends(spec).find((backend) => backend.name === name) ??
    { name: typeof name === "string" ? name : show(name), type: "" };
}

/**
 * Why a backend cannot sign, in a sentence; null when it can. Those of other control planes may be of
 * types that are not known here. A mode other than STRICT is no reason: it is STRICT all the same.
 */
export function whyNoCa(backend: CaBackend): string | null {
  if (backend.type === "") return `CA backend "${backend.name}" is enabled and not there`;
  const violations = violationsOf(caBackend, backend).filter(({ path }) => path !== "mode");
  return violations.length === 0
    ? null
    : `CA backend "${backend.name}" cannot be used here: ${
      violations.map(renderViolation).join("; ")
    }`;
}

/** Where a backend's certificate and key are. */
export function caSources(
  mesh: string,
  { name, type, conf }: CaBackend,
): { readonly cert: DataSource; readonly key: DataSource } {
  return type === "provided" ? { cert: conf?.cert ?? {}, key: conf?.key ?? {} } : {
    cert: { secret: `${mesh}.ca-builtin-cert-${name}` },
    key: { secret: `${mesh}.ca-builtin-key-${name}` },
  };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  y: 365 * 24 * 3_600_000,
  w: 7 * 24 * 3_600_000,
  d: 24 * 3_600_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
};

/** Milliseconds of a lifetime such as `30d`; null when it is not one. */
export function lifetimeMs(text: string): number | null {
  const [, amount, unit] = /^(\d+)(y|w|d|h|m|s|ms)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return null;
  const length = Number(amount) * (UNIT_MS[unit] ?? NaN);
  return Number.isSafeInteger(length) ? length : null;
}

/** "" and "0" ask for the default. kuma@v2.13.10:pkg/core/validators (duration of certificates). */
const certificateLifetime: Check = (value, path, report) => {
  if (value === "" || value === "0") return;
  const length = typeof value === "string" ? lifetimeMs(value) : null;
  if (length === null) {
    report(path, `must be a number and one of y, w, d, h, m, s, ms, is ${show(value)}`);
  } else if (length < CERTIFICATE_LIFETIME_MIN_MS) {
    report(path, `must be 1s or more, is ${show(value)}`);
  }
};

/** A backend's name becomes part of the names of its secrets. */
const backendName: Check = (value, path, report) => {
  if (typeof value !== "string" || !isResourceName(`m.ca-builtin-cert-${value}`)) {
    report(path, `must be lower-case letters, digits, "-" and ".", is ${show(value)}`);
  }
};

const dataSource = object({
  secret: nonEmptyText,
  inline: nonEmptyText,
  inlineString: nonEmptyText,
  file: refuse("a control plane reads no files of others; use a secret"),
}, {
  also(source, path, report) {
    const given = ["secret", "inline", "inlineString"].filter((one) => source[one] !== undefined);
    if (given.length !== 1) report(path, "must have one of secret, inline, inlineString");
  },
});

const TIMEOUTS = "certificates are made inside the control plane, which waits for nobody";

const caBackend = object({
  name: backendName,
  type: oneOf(["builtin", "provided"]),
  mode: oneOf(["STRICT", "PERMISSIVE"], { PERMISSIVE: "it has no effect yet" }),
  dpCert: object({
    rotation: object({ expiration: certificateLifetime }),
    requestTimeout: noEffect(TIMEOUTS),
  }),
  rootChain: object({ requestTimeout: noEffect(TIMEOUTS) }),
  conf: object({
    caCert: object({
      RSAbits: noEffect("certificate authorities have EC P-256 keys"),
      expiration: certificateLifetime,
    }),
    cert: dataSource,
    key: dataSource,
  }),
}, { required: ["name", "type"], also: checkConf });

/** What is asked of the conf depends on the type. */
function checkConf({ type, conf }: Fields, path: string, report: Report): void {
  const given = isObject(conf) ? conf : {};
  for (const half of ["cert", "key"]) {
    const isThere = given[half] !== undefined;
    if (type === "provided" && !isThere) report(`${path}.conf.${half}`, "has to be defined");
    if (type === "builtin" && isThere) {
      report(`${path}.conf.${half}`, "is for backends of type provided");
    }
  }
  if (type === "provided" && given["caCert"] !== undefined) {
    report(`${path}.conf.caCert`, "is for backends of type builtin");
  }
}

/** Two at a time: the one that signs, and the one whose certificates are still out there. */
const BACKENDS_MAX = 2;

function checkBackends(mtls: Fields, path: string, report: Report): void {
  const backends = Array.isArray(mtls["backends"]) ? mtls["backends"].filter(isObject) : [];
  if (backends.length > BACKENDS_MAX) {
    report(`${path}.backends`, `must be ${BACKENDS_MAX} at most, are ${backends.length}`);
  }
  const names = backends.map(({ name }) => name);
  names.forEach((name, index) => {
    if (names.indexOf(name) !== index) {
      report(`${path}.backends[${index}].name`, `must be unique, ${show(name)} is there twice`);
    }
  });
  const enabled = mtls["enabledBackend"];
  if (typeof enabled === "string" && enabled !== "" && !names.includes(enabled)) {
    report(`${path}.enabledBackend`, `must name one of the backends, is ${show(enabled)}`);
  }
}

const mesh = object({
  mtls: object({
    enabledBackend: text,
    backends: list(caBackend),
    // A CA that cannot be used is waited for (see the identity actor): nothing is skipped.
    skipValidation: bool,
  }, { also: checkBackends }),
  tracing: kept("proxies do not trace", tracing),
  logging: kept("proxies do not log accesses", logging),
  metrics: kept("Envoy has no listener for metrics; kuma-dp serves what aggregate names", metrics),
  networking: object({ outbound: object({ passthrough: bool }) }),
  routing: object({
    localityAwareLoadBalancing: bool,
    zoneEgress: noEffect("there are no zone egresses"),
    defaultForbidMeshExternalServiceAccess: noEffect("there are no external services"),
  }),
  constraints,
  skipCreatingInitialPolicies: list(nonEmptyText),
  meshServices: object({
    mode(value, path, report) {
      oneOf(["Disabled", "Everywhere", "ReachableBackends", "Exclusive"])(value, path, report);
      noEffect("services are known by their tags")(value === "Disabled" ? "" : value, path, report);
    },
  }),
}, {
  also({ mtls, routing }, path, report) {
    const egress = isObject(routing) && routing["zoneEgress"] === true;
    if (egress && !(isObject(mtls) && mtls["enabledBackend"])) {
      report(join(path, "mtls"), "has to be set when zoneEgress enabled");
    }
  },
});

export const meshChecks = checkedBy(mesh);

const secret = object({
  data(value, path, report) {
    if (typeof value !== "string" || !BASE64.test(value)) report(path, "must be base64");
    else if (value === "") report(path, "must not be empty");
  },
}, { required: ["data"] });

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Of Secret and of GlobalSecret. */
export const secretChecks = checkedBy(secret);

export const configChecks = checkedBy(object({ config: text }));
