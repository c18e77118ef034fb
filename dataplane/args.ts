// What the user gave to `ursa dp run`, made into what Envoy and the control plane get.

import type { JsonObject } from "../core/resource.ts";
import type { Violation } from "../core/violation.ts";
import { INSTANCE_KEY } from "./node.ts";
import type { ProxyResource } from "./resource.ts";
import { TOKEN_SECRET_FIELD } from "./token_secret.ts";

export type Rendered =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/** Replaces `{{ name }}`. A variable without a value is refused: an empty one would hide a typo. */
export function renderTemplate(template: string, vars: ReadonlyMap<string, string>): Rendered {
  const missing = new Set<string>();
  const text = template.replaceAll(/\{\{\s*([\w.-]+)\s*\}\}/g, (_, name: string) => {
    const value = vars.get(name);
    if (value === undefined) missing.add(name);
    return value ?? "";
  });
  if (missing.size === 0) return { ok: true, text };
  return {
    ok: false,
    violations: [...missing].map((name) => ({
      path: `{{ ${name} }}`,
      message: `has no value: add --dataplane-var ${name}=VALUE`,
    })),
  };
}

/** `key=value` words, as of --dataplane-var; later ones win. */
export function parseVars(
  words: readonly string[],
): { readonly vars: ReadonlyMap<string, string>; readonly violations: readonly Violation[] } {
  const vars = new Map<string, string>();
  const violations: Violation[] = [];
  for (const word of words) {
    const at = word.indexOf("=");
    if (at > 0) vars.set(word.slice(0, at), word.slice(at + 1));
    else violations.push({ path: "--dataplane-var", message: `must be KEY=VALUE, is "${word}"` });
  }
  return { vars, violations };
}

export interface DpIdentity {
  readonly proxyType: "dataplane" | "ingress";
  readonly resource: ProxyResource;
  /** The resource's text with its admin port. */
  readonly resourceText: string;
  readonly instance: string;
  readonly xds: "delta" | "sotw";
  readonly bindOutbounds: boolean;
  readonly caCert: string;
  readonly token: string;
  /** Where Envoy finds the token; "" without one. */
  readonly tokenSecretPath: string;
  readonly workdir: string;
  readonly ursaVersion: string;
  readonly envoyVersion: string;
}

/** The body of POST /bootstrap; the fields are Kuma's, so that a Kuma control plane answers it too. */
export function bootstrapRequest(dp: DpIdentity): JsonObject {
  return {
    mesh: dp.resource.mesh,
    name: dp.resource.name,
    proxyType: dp.proxyType,
    dataplaneResource: dp.resourceText,
    ...(dp.token ? { dataplaneToken: dp.token, [TOKEN_SECRET_FIELD]: dp.tokenSecretPath } : {}),
    ...(dp.caCert ? { caCert: dp.caCert } : {}),
    version: {
      kumaDp: { version: dp.ursaVersion, gitTag: "", gitCommit: "", buildDate: "" },
      envoy: {
        version: shortVersion(dp.envoyVersion),
        build: dp.envoyVersion,
        kumaDpCompatible: true,
      },
    },
    dynamicMetadata: { [INSTANCE_KEY]: dp.instance },
    features: [
      ...(dp.xds === "delta" ? ["feature-delta-grpc"] : []),
      ...(dp.bindOutbounds ? ["feature-bind-outbounds"] : []),
    ],
    operatingSystem: "linux",
    workdir: dp.workdir,
    ipv6Enabled: false,
  };
}

/** `hash/1.40.0/Clean/RELEASE/BoringSSL` → `1.40.0`. */
function shortVersion(build: string): string {
  return build.split("/")[1] ?? "";
}

export interface EnvoyArgs {
  readonly configPath: string;
  readonly drainTimeSeconds: number;
  readonly logLevel: string;
  readonly concurrency: number;
  /** What the user put after `--`; last, so that it wins. */
  readonly extra: readonly string[];
}

/** Hot restart is off: its shared memory would tie two Envoys of one machine together. */
export function envoyArgs(options: EnvoyArgs): readonly string[] {
  return [
    "--config-path",
    options.configPath,
    "--drain-time-s",
    String(Math.max(1, Math.ceil(options.drainTimeSeconds))),
    "--drain-strategy",
    "immediate",
    "--disable-hot-restart",
    "--log-level",
    options.logLevel,
    ...(options.concurrency > 0 ? ["--concurrency", String(options.concurrency)] : []),
    ...options.extra,
  ];
}

/** Exponential with full jitter: many proxies that lost one control plane come back spread out. */
export function backoffMs(attempt: number, random: number): number {
  const ceiling = Math.min(10_000, 250 * 2 ** Math.min(attempt, 10));
  return Math.round(100 + random * ceiling);
}

/** What a dp process makes of an answer to POST /bootstrap. */
export type BootstrapStep =
  | { readonly step: "start"; readonly bootstrap: string }
  | { readonly step: "wait"; readonly reason: string }
  | { readonly step: "fail"; readonly reason: string };

/** Waiting is right for what may still arrive: the mesh, the resource, a control plane that starts. */
export function readBootstrapAnswer(status: number, body: string): BootstrapStep {
  if (status === 200) return { step: "start", bootstrap: body };
  const reason = body.trim() || `the control plane answered ${status}`;
  if (status >= 500 || status === 429) return { step: "wait", reason };
  if (status === 404 && body.trim() === "") {
    return { step: "wait", reason: "the control plane does not know this proxy yet" };
  }
  if (status === 422 && /^mesh: mesh ".*" does not exist$/.test(body.trim())) {
    return { step: "wait", reason: `${body.trim()} (yet)` };
  }
  return { step: "fail", reason };
}
