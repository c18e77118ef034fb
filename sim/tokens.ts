// Tokens of a simulated world: who was given which, what operators do about them, and what a store has
// against one, found out in another way than control planes do.

import { PERMISSION_DENIED, UNAUTHENTICATED } from "../core/grpc_status.ts";
import type { ProxyKey } from "../core/proxy.ts";
import type { Draft, ResourceKey } from "../core/resource.ts";
import { CONTROL_PLANE_SCOPE, type DataplaneClaims, type TokenOrder } from "../core/token.ts";
import {
  keyIdOf,
  revocationsName,
  signingKeyAt,
  signingKeyName,
  signingKeyPrefix,
  ZONE_PUBLIC_KEY_PREFIX,
} from "../core/token_secrets.ts";
import { readPrivateKey } from "../core/rsa_key.ts";
import { issueToken, newestSigningKey } from "../identity/tokens/issue.ts";
import { Batch, StoreImage } from "../store/image.ts";
import type { Op } from "../store/store.ts";
import { secretsOf } from "../cli/signing_keys.ts";
import { type ControlPlane, START_MS } from "./control_plane.ts";
import { Dice } from "./dice.ts";
import type { Copy } from "./disk.ts";
import type { Envoy } from "./envoy.ts";
import { forgersKey, type SimKey, simKey } from "./signing_keys.ts";
import type { World } from "./world.ts";

/** What is the matter with a token that somebody is given. */
export const FLAWS = [
  "none",
  "missing",
  "expired",
  "short",
  "another's",
  "forged",
  "garbage",
] as const;
export type Flaw = typeof FLAWS[number];

export type Holder = ProxyKey | { readonly type: "cp"; readonly zone: string };

interface Issued {
  readonly order: TokenOrder;
  readonly keyId: string;
  /** null: it was signed with a key that is nobody's. */
  readonly key: SimKey | null;
  readonly id: string;
  readonly expiresAtMs: number;
}

type Image = Pick<StoreImage, "get" | "list">;

const DAY_MS = 86_400_000;
/** Long before, so that clocks which are minutes apart agree about it. */
const ISSUED_MS = START_MS - DAY_MS;
const VALID_MS = 40 * DAY_MS;
/** As long as a `short` one is good. */
export const SHORT_MS = 3_000;

export class Tokens {
  readonly #world: World;
  readonly #dice: Dice;
  readonly #issued = new Map<string, Issued>();
  readonly #keys = new Map<string, SimKey>();
  /** By the list's name: what operators want to be in it. */
  readonly #revoked = new Map<string, readonly string[]>();
  /** When somebody looks after a token that is refused, by holder. */
  readonly #due = new Map<string, number>();
  #serial = 0;
  #keysMade = 0;
  /** Which key a global begins with. */
  #first = 0;

  constructor(world: World, seed: number) {
    this.#world = world;
    this.#dice = new Dice(seed, "tokens");
  }

  /** What a control plane begins with that makes tokens for zones: as cli/signing_keys.ts has it. */
  firstStore(keys: "the same" | "new"): Copy {
    if (keys === "new") this.#first = ++this.#keysMade;
    const op = this.#put(signingKeyAt("zone", "", "1"), simKey(this.#first));
    const image = new StoreImage();
    const judged = new Batch(image).judge([op], START_MS);
    if (judged.ok) image.apply(judged);
    return { revision: image.revision, resources: image.list("GlobalSecret") };
  }

  /** Of meshes that are written and have none: a mesh and its signing key come in one commit. */
  missingKeys(ops: readonly Op[], image: Image): readonly Op[] {
    return ops.flatMap((op) => {
      if (op.op !== "put" || op.resource.type !== "Mesh") return [];
      const mesh = op.resource.name;
      if (this.#serials("dataplane", mesh, image).length > 0) return [];
      return [this.#newKey(signingKeyAt("dataplane", mesh, "1"))];
    });
  }

  /** From then on tokens are signed with it; older ones stay good for as long as their key is there. */
  rotation(kind: "dataplane" | "zone", mesh: string): Op | null {
    const { image } = this.#world.writer.disk;
    const newest = this.#serials(kind, mesh, image).at(-1);
    if (newest === undefined) return null;
    return this.#newKey(signingKeyAt(kind, mesh, String(newest + 1)));
  }

  /** All but the newest key go, and with them the tokens that they signed. */
  retirement(kind: "dataplane" | "zone", mesh: string): readonly Op[] {
    const serials = this.#serials(kind, mesh, this.#world.writer.disk.image);
    return serials.slice(0, -1).map((serial): Op => ({
      op: "delete",
      key: signingKeyAt(kind, mesh, String(serial)),
    }));
  }

  /** Writes the list anew, with this one in it. */
  revocation(jwt: string): Op | null {
    const issued = this.#issued.get(jwt);
    if (!issued) return null;
    const { kind } = issued.order;
    const mesh = issued.order.kind === "dataplane" ? issued.order.claims.mesh : "";
    const name = revocationsName(kind, mesh);
    const ids = [...this.#revoked.get(name) ?? [], issued.id];
    this.#revoked.set(name, ids);
    const type = mesh === "" ? "GlobalSecret" : "Secret";
    return { op: "put", resource: secret({ type, mesh, name }, ids.join(",")) };
  }

  /** Whoever has one of this kind and mesh gets another, for its next stream. */
  replace(kind: "dataplane" | "zone", mesh: string): void {
    const { envoys, zones, global } = this.#world;
    for (const envoy of envoys.values()) {
      const { type, mesh: own } = envoy.options.key;
      if ((type === "dataplane") === (kind === "dataplane") && own === mesh) {
        this.give(envoy, "none");
      }
    }
    if (kind === "zone" && global) { for (const zone of zones) this.giveZone(zone, "none"); }
  }

  /** Its next stream comes with this one. */
  give(envoy: Envoy, flaw: Flaw): void {
    this.#due.set(idOf(envoy), this.#world.nowMs + this.#dice.between(1_000, 4_000));
    envoy.tokenBefore = envoy.token;
    envoy.token = this.#made(flaw, this.#orderFor(envoy), [
      this.#world.zone(envoy.options.server.name),
      this.#world.writer,
    ]);
  }

  giveZone(zone: ControlPlane, flaw: Flaw): void {
    this.#due.set(zone.name, this.#world.nowMs + this.#dice.between(1_000, 4_000));
    zone.token = this.#made(flaw, this.#orderForZone(zone.name), [this.#world.writer]);
  }

  /** What speaks against letting `holder` in with this token, as this store has it; null: nothing. */
  fault(where: ControlPlane, jwt: string | null, holder: Holder, atMs: number): string | null {
    if (jwt === null) return "there is none";
    const issued = this.#issued.get(jwt);
    if (!issued) return "nobody issued it";
    return misfit(issued.order, holder, where.name) ?? this.withdrawn(where, jwt) ??
      (atMs >= issued.expiresAtMs ? "it has expired" : null);
  }

  /** What speaks against a token that was good once. */
  withdrawn({ disk: { image }, config }: ControlPlane, jwt: string): string | null {
    const issued = this.#issued.get(jwt);
    // What nobody issued cannot be taken away.
    if (!issued) return null;
    const { order, keyId, key, id } = issued;
    if (!key) return "it is forged";
    const mesh = order.kind === "dataplane" ? order.claims.mesh : "";
    const isPublic = order.kind === "zone" && config.global !== null;
    const at = signingKeyAt(order.kind, mesh, keyId);
    const name = isPublic ? signingKeyName(ZONE_PUBLIC_KEY_PREFIX, keyId) : at.name;
    const held = image.get({ ...at, name });
    if (!held) return `its key ${name} is not there`;
    if (contentOf(held) !== (isPublic ? key.publicPem : key.pem)) return "its key was replaced";
    const list = revocationsName(order.kind, mesh);
    const revoked = [
      ...(mesh === "" ? [] : [image.get({ type: "Secret", mesh, name: list })]),
      image.get({ type: "GlobalSecret", mesh: "", name: list }),
    ];
    return revoked.some((one) => one && contentOf(one).split(",").includes(id))
      ? "it is revoked"
      : null;
  }

  /** Whoever is refused for what it shows is given something better after a while. */
  tick(): void {
    const { envoys, zones, global, nowMs } = this.#world;
    for (const envoy of envoys.values()) {
      if (!envoy.running || envoy.end || !isAboutToken(envoy.ended?.code)) continue;
      if (nowMs >= this.#dueOf(idOf(envoy))) this.renew(envoy);
    }
    if (!global) return;
    for (const zone of zones) {
      if (!this.#faultOfZone(zone)) continue;
      if (nowMs >= this.#dueOf(zone.name)) this.giveZone(zone, "none");
    }
  }

  /** Gives what is good now, if it can be had and what is there is not. */
  renew(envoy: Envoy): void {
    const { key, server } = envoy.options;
    const zone = this.#world.zone(server.name);
    if (this.fault(zone, envoy.token, key, zone.nowMs) === null) return;
    this.give(envoy, "none");
  }

  /** All that is not good is replaced. */
  heal(): void {
    for (const envoy of this.#world.envoys.values()) this.renew(envoy);
    for (const zone of this.#world.zones) if (this.#faultOfZone(zone)) this.giveZone(zone, "none");
  }

  #faultOfZone(zone: ControlPlane): string | null {
    const { global } = this.#world;
    if (!global) return null;
    return this.fault(global, zone.token, { type: "cp", zone: zone.name }, global.nowMs);
  }

  /** The first time that somebody asks, it is some time away. */
  #dueOf(holder: string): number {
    const due = this.#due.get(holder);
    if (due !== undefined) return due;
    const first = this.#world.nowMs + this.#dice.between(1_000, 4_000);
    this.#due.set(holder, first);
    return first;
  }

  #serials(kind: "dataplane" | "zone", mesh: string, image: Image): readonly number[] {
    const prefix = signingKeyPrefix(kind, mesh);
    return secretsOf(image, mesh).flatMap(({ name }) => {
      const keyId = keyIdOf(name, prefix);
      return keyId === null ? [] : [Number(keyId)];
    }).sort((a, b) => a - b);
  }

  #newKey(at: ResourceKey): Op {
    return this.#put(at, simKey(++this.#keysMade));
  }

  #put(at: ResourceKey, key: SimKey): Op {
    this.#keys.set(key.pem, key);
    return { op: "put", resource: secret(at, key.pem) };
  }

  #orderFor({ options: { key, server: { name: zone } }, resource }: Envoy): TokenOrder {
    if (key.type !== "dataplane") {
      return { kind: "zone", claims: { zone, scope: [key.type] }, validForMs: VALID_MS };
    }
    // What is bound to fewer things lets in more.
    const name = this.#dice.chance(0.7) ? key.name : "";
    const service = key.name.replace(/-\d+$/, "");
    const tags: DataplaneClaims["tags"] = resource && this.#dice.chance(0.3)
      ? { "kuma.io/service": [service, `${key.name}-gateway`] }
      : {};
    const claims = { name, mesh: key.mesh, tags, type: "dataplane", workload: "" };
    return { kind: "dataplane", claims, validForMs: VALID_MS };
  }

  #orderForZone(zone: string): TokenOrder {
    const claims = { zone, scope: [CONTROL_PLANE_SCOPE] };
    return { kind: "zone", claims, validForMs: VALID_MS };
  }

  /** null: none is to be had, or none is wanted. */
  #made(flaw: Flaw, order: TokenOrder, makers: readonly ControlPlane[]): string | null {
    if (flaw === "missing") return null;
    if (flaw === "garbage") return "what.ever.";
    const passedMs = START_MS - ISSUED_MS + this.#world.nowMs;
    const wanted: TokenOrder = {
      ...(flaw === "another's" ? anothers(order) : order),
      ...(flaw === "expired" && { validForMs: DAY_MS / 2 }),
      ...(flaw === "short" && { validForMs: passedMs + SHORT_MS }),
    };
    const mesh = order.kind === "dataplane" ? order.claims.mesh : "";
    for (const { disk: { image } } of makers) {
      const found = newestSigningKey(order.kind, mesh, secretsOf(image, mesh));
      if (!found.ok) continue;
      const { keyId } = found.signingKey;
      const stored = image.get(signingKeyAt(order.kind, mesh, keyId))!;
      const key = this.#keys.get(contentOf(stored))!;
      return this.#sign(wanted, keyId, flaw === "forged" ? null : key);
    }
    return null;
  }

  #sign(order: TokenOrder, keyId: string, key: SimKey | null): string {
    const id = `token-${++this.#serial}`;
    const { pem } = key ?? forgersKey();
    const read = readPrivateKey(new TextEncoder().encode(pem));
    if (!read.ok) throw new Error(read.reason);
    const jwt = issueToken({ ...order, nowMs: ISSUED_MS, id }, { keyId, key: read.key });
    const expiresAtMs = Math.floor((ISSUED_MS + order.validForMs) / 1_000) * 1_000;
    this.#issued.set(jwt, { order, keyId, key, id, expiresAtMs });
    return jwt;
  }
}

/** A refusal that another token may change. */
export function isAboutToken(code: number | undefined): boolean {
  return code === UNAUTHENTICATED || code === PERMISSION_DENIED;
}

function idOf({ options: { site } }: Envoy): string {
  return site.name;
}

function anothers(order: TokenOrder): TokenOrder {
  switch (order.kind) {
    case "dataplane":
      return { ...order, claims: { ...order.claims, name: "somebody-else" } };
    case "zone":
      return { ...order, claims: { ...order.claims, zone: "somewhere-else" } };
    case "user":
      return order;
  }
}

function misfit(order: TokenOrder, holder: Holder, where: string): string | null {
  switch (order.kind) {
    case "dataplane": {
      if (holder.type !== "dataplane") return "it is a dataplane's";
      const { name, mesh, tags } = order.claims;
      if (mesh !== holder.mesh) return `it is for mesh ${mesh}`;
      if (name !== "" && name !== holder.name) return `it is for ${name}`;
      const service = holder.name.replace(/-\d+$/, "");
      const services = tags["kuma.io/service"] ?? [service];
      return services.includes(service) ? null : `it is for ${services.join(" or ")}`;
    }
    case "zone": {
      if (holder.type === "dataplane") return "it is a zone's";
      const zone = holder.type === "cp" ? holder.zone : where;
      if (order.claims.zone !== zone) return `it is for zone ${order.claims.zone}`;
      return order.claims.scope.includes(holder.type) ? null : "it has another scope";
    }
    case "user":
      return "it is a user's";
  }
}

function secret(
  key: { readonly type: string; readonly mesh: string; readonly name: string },
  content: string,
): Draft {
  const labels = key.mesh === "" ? {} : { "kuma.io/mesh": key.mesh };
  return { ...key, labels, spec: { data: btoa(content) } };
}

/** Decoded once for each resource: what is in the store does not change. */
const contents = new WeakMap<object, string>();

function contentOf(resource: { readonly spec: { readonly data?: unknown } }): string {
  let content = contents.get(resource);
  if (content === undefined) {
    contents.set(resource, content = atob(String(resource.spec.data ?? "")));
  }
  return content;
}
