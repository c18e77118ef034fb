// Which certificate authorities a mesh has, who may make them, and what a proxy's certificate says.

import {
  type CaBackend,
  caBackends,
  caSources,
  type DataSource,
  enabledBackend,
  lifetimeMs,
  type MeshSpec,
  type SecretSpec,
  whyNoCa,
} from "../core/mesh.ts";
import { compareText, type Draft, type Resource } from "../core/resource.ts";
import { SERVICE_TAG, type Tags } from "../core/tags.ts";

/** Certificate and private key, PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** kuma@v2.13.10:pkg/core/ca/issuer/issuer.go (DefaultWorkloadCertValidityPeriod). */
const LEAF_LIFETIME_MS = 24 * 3_600_000;
/** kuma@v2.13.10:pkg/plugins/ca/builtin (ten years of 365 days). */
const CA_LIFETIME_MS = 10 * 365 * 24 * 3_600_000;

/** Milliseconds of a lifetime such as `30d`; null when it is not one, or is no time at all. */
export function parseLifetime(text: string): number | null {
  const length = lifetimeMs(text);
  return length !== null && length > 0 ? length : null;
}

/** How long the certificates of proxies live. Validation has refused what does not parse. */
export function leafLifetimeMs(backend: CaBackend): number {
  return parseLifetime(backend.dpCert?.rotation?.expiration ?? "") ?? LEAF_LIFETIME_MS;
}

/** How long a new certificate authority lives. */
export function caLifetimeMs(backend: CaBackend): number {
  return parseLifetime(backend.conf?.caCert?.expiration ?? "") ?? CA_LIFETIME_MS;
}

/**
 * When to renew: at a random point of the last fifth, so that proxies which started together do
 * not come back together. The very end stays free, for attempts that fail.
 */
export function renewalAtMs(
  life: { readonly issuedAtMs: number; readonly expiresAtMs: number },
  random: number,
): number {
  const lifetimeMs = life.expiresAtMs - life.issuedAtMs;
  return Math.floor(life.issuedAtMs + lifetimeMs * (0.8 + 0.15 * random));
}

/**
 * URI SANs of a proxy: its services as SPIFFE ids, then every tag and value, the service included.
 * kuma@v2.13.10:pkg/core/ca/issuer/issuer.go (newWorkloadTemplate).
 */
export function identityUris(mesh: string, tagSets: readonly Tags[]): readonly string[] {
  const values = new Map<string, Set<string>>();
  for (const [tag, value] of tagSets.flatMap((tags) => Object.entries(tags))) {
    const known = values.get(tag);
    if (known) known.add(value);
    else values.set(tag, new Set([value]));
  }
  const sorted = (tag: string) => [...values.get(tag) ?? []].sort(compareText);
  return [
    ...sorted(SERVICE_TAG).map((service) => `spiffe://${mesh}/${service}`),
    ...[...values.keys()].sort(compareText).flatMap((tag) =>
      sorted(tag).map((value) => `kuma://${tag}/${value}`)
    ),
  ];
}

/** What a mesh's spec and secrets say about one of its backends. */
export type CaState =
  | {
    readonly state: "ready";
    readonly backend: CaBackend;
    readonly pair: KeyPair;
    /** When its root became known here, RFC 3339. */
    readonly since: string;
  }
  /** A builtin one that nobody has made yet. */
  | { readonly state: "absent"; readonly backend: CaBackend }
  /** One half is there, or unreadable: making a new pair would silently replace somebody's CA. */
  | { readonly state: "broken"; readonly backend: CaBackend; readonly reason: string };

export type Secrets = ReadonlyMap<string, Resource<SecretSpec>>;

/** The state of each backend of a mesh, in the order of its spec. `secrets` are the mesh's own, by name. */
export function caStates(mesh: Resource<MeshSpec>, secrets: Secrets): readonly CaState[] {
  return caBackends(mesh.spec).map((backend) => caState(mesh, backend, secrets));
}

function caState(mesh: Resource<MeshSpec>, backend: CaBackend, secrets: Secrets): CaState {
  const reason = whyNoCa(backend);
  if (reason !== null) return { state: "broken", backend, reason };
  const sources = caSources(mesh.name, backend);
  const cert = half(mesh, sources.cert, secrets);
  const key = half(mesh, sources.key, secrets);
  const broken = (reason: string): CaState => ({ state: "broken", backend, reason });
  if (cert.pem === null && key.pem === null && backend.type === "builtin") {
    return { state: "absent", backend };
  }
  if (cert.pem === null) {
    return broken(`${cert.where} is missing${key.pem === null ? "" : ", its key is there"}`);
  }
  if (key.pem === null) return broken(`${key.where} is missing, its certificate is there`);
  if (!cert.pem.includes("-----BEGIN CERTIFICATE-----")) {
    return broken(`${cert.where} holds no PEM certificate`);
  }
  if (!key.pem.includes("PRIVATE KEY-----")) return broken(`${key.where} holds no PEM private key`);
  return { state: "ready", backend, pair: { cert: cert.pem, key: key.pem }, since: cert.since };
}

interface Half {
  /** null: there is none. */
  readonly pem: string | null;
  /** As people are told. */
  readonly where: string;
  readonly since: string;
}

function half(mesh: Resource<MeshSpec>, source: DataSource, secrets: Secrets): Half {
  if (source.secret === undefined) {
    const pem = source.inlineString ?? decoded(source.inline ?? "");
    const where = `A half of a CA in the spec of mesh "${mesh.name}"`;
    return { pem: pem || null, where, since: mesh.modificationTime };
  }
  const secret = secrets.get(source.secret);
  const where = `Secret "${source.secret}" of mesh "${mesh.name}"`;
  return {
    pem: secret ? decoded(secret.spec.data ?? "") : null,
    where,
    since: secret?.creationTime ?? "",
  };
}

function decoded(base64: string): string {
  try {
    return atob(base64);
  } catch {
    return ""; // Not base64.
  }
}

/** Roots to trust: all backends that have a certificate, so that a switch between two breaks nothing. */
export function trustedRoots(states: readonly CaState[]): string {
  return states.flatMap((ca) => ca.state === "ready" ? [ca.pair.cert.trim()] : [])
    .map((pem) => `${pem}\n`).join("");
}

/** Who signs now, or why nobody does. null: the mesh has no mutual TLS. */
export type Signer =
  | { readonly backend: CaBackend; readonly pair: KeyPair }
  | { readonly waiting: string };

/**
 * The backend to sign with. `current` is the one in use: while its root is still trusted it goes
 * on signing until the new one's root had `leadMs` to reach every proxy, because a certificate
 * must never arrive before the root that vouches for it. `since` tells when that root arrived.
 */
export function signerOf(
  mesh: Resource<MeshSpec>,
  states: readonly CaState[],
  options: {
    readonly mayCreate: boolean;
    readonly current: string | null;
    readonly nowMs: number;
    readonly leadMs: number;
    readonly since: (backend: string) => number;
  },
): { readonly signer: Signer | null; readonly switchAtMs: number | null } {
  const enabled = enabledBackend(mesh.spec);
  if (!enabled) return { signer: null, switchAtMs: null };
  const wanted = states.find(({ backend }) => backend.name === enabled.name);
  const current = states.find(({ backend }) => backend.name === options.current);
  const isSwitch = current?.state === "ready" && current !== wanted;
  if (wanted?.state === "ready") {
    const sinceMs = options.since(enabled.name);
    const switchAtMs = sinceMs + options.leadMs;
    // Of the future: the clock was set back since, by more than any lead.
    const isSpread = switchAtMs <= options.nowMs || sinceMs > options.nowMs;
    if (!isSwitch || isSpread) {
      return { signer: { backend: wanted.backend, pair: wanted.pair }, switchAtMs: null };
    }
    return { signer: { backend: current.backend, pair: current.pair }, switchAtMs };
  }
  if (isSwitch) {
    return { signer: { backend: current.backend, pair: current.pair }, switchAtMs: null };
  }
  const waiting = waitingReason(mesh.name, enabled, wanted, options.mayCreate);
  return { signer: { waiting }, switchAtMs: null };
}

function waitingReason(
  mesh: string,
  enabled: CaBackend,
  wanted: CaState | undefined,
  mayCreate: boolean,
): string {
  if (wanted?.state === "broken") return wanted.reason;
  const unknown = whyNoCa(enabled);
  if (unknown !== null) return unknown;
  const { secret = "" } = caSources(mesh, enabled).cert;
  return mayCreate
    ? `the CA "${enabled.name}" of mesh "${mesh}" is being made`
    : `Secret "${secret}" of mesh "${mesh}" has not arrived from global`;
}

/** The two secrets of a new builtin CA, as they are written. */
export function caSecrets(
  mesh: string,
  backend: string,
  pair: KeyPair,
): readonly Draft[] {
  const sources = caSources(mesh, { name: backend, type: "builtin" });
  const secret = ({ secret: name = "" }: DataSource, pem: string): Draft => ({
    type: "Secret",
    mesh,
    name,
    labels: {},
    spec: { data: btoa(pem) },
  });
  return [secret(sources.cert, pair.cert), secret(sources.key, pair.key)];
}
