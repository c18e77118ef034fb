import assert from "node:assert/strict";
import type { MeshSpec } from "../../core/mesh.ts";
import { type IdentityMaterial, type ProxyKey, proxyText } from "../../core/proxy.ts";
import type { Draft, Resource, ResourceKey } from "../../core/resource.ts";
import type { SignerCommand } from "../../identity/signing.ts";
import type { Change, HubMsg, WriteResult } from "../hub/messages.ts";
import type { Context, Effect, Message, PortResult } from "../runtime/actor.ts";
import { identity, type IdentityArgs } from "./identity.ts";
import type { IdentityIssued, IdentityMsg, IdentityPending } from "./messages.ts";

const DAY_MS = 86_400_000;
const START_MS = Date.parse("2026-01-01T00:00:00Z");

const web: ProxyKey = { type: "dataplane", mesh: "default", name: "web" };
const api: ProxyKey = { type: "dataplane", mesh: "default", name: "api" };

/** A hub, a signer and a clock around one identity actor; certificates are texts that say what they are. */
class World {
  nowMs = START_MS;
  signerFails = false;
  hubAnswer: WriteResult | null = null;
  /** What was written is told later, together with what came after. */
  hubSilent = false;
  readonly issued = new Map<string, IdentityMaterial>();
  readonly log: string[] = [];
  readonly timers = new Map<string, { readonly atMs: number; readonly msg: Message }>();
  readonly held: SignerCommand[] = [];
  holdSigner = false;
  #serial = 0;
  #revision = 1;
  #state;
  #inbox: IdentityMsg[] = [];
  readonly #heldAnswers: (() => void)[] = [];

  constructor(args: IdentityArgs) {
    const [state, effects] = identity.init(args, this.#context());
    this.#state = state;
    this.#perform(effects);
  }

  #context(): Context {
    return { nowMs: this.nowMs, self: "identity", random: () => 0.5 };
  }

  send(msg: IdentityMsg): void {
    this.#inbox.push(msg);
    for (let next = this.#inbox.shift(); next; next = this.#inbox.shift()) {
      const [state, effects] = identity.receive(this.#state, next, this.#context());
      this.#state = state;
      this.#perform(effects);
    }
  }

  change(resources: readonly (Resource | ResourceKey)[], full = false, revision = 1): void {
    const changes = resources.map((resource): Change => ({
      revision: 1,
      key: { type: resource.type, mesh: resource.mesh, name: resource.name },
      resource: "spec" in resource ? resource : null,
      previous: null,
    }));
    this.send({ tag: "resources_changed", revision, full, changes });
  }

  request(proxy: ProxyKey, tags: Record<string, string> = { "kuma.io/service": proxy.name }): void {
    const to = `dataplanes/${proxyText(proxy)}`;
    this.send({ tag: "request_identity", proxy, mesh: proxy.mesh, tagSets: [tags], to });
  }

  pass(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = [...this.timers].sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (!due || due[1].atMs > until) break;
      this.timers.delete(due[0]);
      this.nowMs = due[1].atMs;
      this.send(due[1].msg as IdentityMsg);
    }
    this.nowMs = until;
  }

  releaseSigner(): void {
    this.holdSigner = false;
    for (const answer of this.#heldAnswers.splice(0)) answer();
  }

  /** What happened since the last look. */
  seen(): readonly string[] {
    return this.log.splice(0);
  }

  describe() {
    return identity.describe?.(this.#state);
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.do === "send") this.#sent(effect.to, effect.msg);
      if (effect.do === "timer") {
        this.timers.set(effect.name, { atMs: this.nowMs + effect.afterMs, msg: effect.msg });
      }
      if (effect.do === "command") this.#sign(effect);
    }
  }

  #sent(to: string, msg: Message): void {
    if (to === "hub") return this.#hub(msg as HubMsg);
    if (msg.tag === "identity_issued") {
      const { proxy, material } = msg as IdentityIssued;
      this.issued.set(proxy.name, material);
      const roots = material.trustedCa.trim().split("\n").filter((line) => !line.startsWith("--"));
      this.log.push(`${proxy.name} gets ${material.certificateChain} trusting ${roots.join(" ")}`);
    } else {
      const { proxy, reason } = msg as IdentityPending;
      this.log.push(`${proxy.name} waits: ${reason}`);
    }
  }

  #hub(msg: HubMsg): void {
    if (msg.tag !== "write" || !msg.reply) return;
    const { reply } = msg;
    const resources = msg.ops.map((op) =>
      op.op === "put" ? stored(op.resource, this.nowMs) : op.key
    );
    this.log.push(`writes ${resources.map(({ name }) => name).join(" ")}`);
    const revision = ++this.#revision;
    const value = this.hubAnswer ?? { ok: true, revision, changes: [] };
    this.#inbox.push({ tag: "ca_written", ref: reply.ref, value });
    if (value.ok && !this.hubSilent) {
      const changes = resources.map((resource): Change => ({
        revision,
        key: resource,
        resource: resource as Resource,
        previous: null,
      }));
      this.#inbox.push({ tag: "resources_changed", revision, full: false, changes });
    }
  }

  #sign(effect: Effect & { readonly do: "command" }): void {
    const command = effect.command as SignerCommand;
    const answer = () => {
      const result = this.#signature(command);
      this.send({ tag: effect.then, ref: effect.ref, result } as IdentityMsg);
    };
    if (this.holdSigner) {
      this.held.push(command);
      this.#heldAnswers.push(answer);
    } else {
      const result = this.#signature(command);
      this.#inbox.push({ tag: effect.then, ref: effect.ref, result } as IdentityMsg);
    }
  }

  #signature(command: SignerCommand): PortResult {
    if (this.signerFails) return { ok: false, error: "out of ink", retryable: false };
    if (command.command === "create_ca") {
      const cert = `-----BEGIN CERTIFICATE-----\nroot-${++this
        .#serial}\n-----END CERTIFICATE-----\n`;
      return { ok: true, value: { cert, key: "-----BEGIN PRIVATE KEY-----" } };
    }
    const root = command.ca.cert.split("\n")[1];
    const cert = `${root}/leaf-${++this.#serial}`;
    const expiresAtMs = command.nowMs + command.lifetimeMs;
    return { ok: true, value: { cert, key: "key", expiresAtMs } };
  }
}

function stored(draft: Draft, nowMs = START_MS): Resource {
  const time = new Date(nowMs).toISOString();
  return { ...draft, version: 1, creationTime: time, modificationTime: time };
}

function mesh(enabledBackend: string, ...backends: readonly string[]): Resource {
  const spec: MeshSpec = enabledBackend === "" ? {} : {
    mtls: { enabledBackend, backends: backends.map((name) => ({ name, type: "builtin" })) },
  };
  return stored({ type: "Mesh", mesh: "", name: "default", labels: {}, spec: spec as never });
}

function secrets(backend: string, root: string, nowMs?: number): readonly Resource[] {
  const cert = `-----BEGIN CERTIFICATE-----\n${root}\n-----END CERTIFICATE-----\n`;
  return [["cert", cert], ["key", "-----BEGIN PRIVATE KEY-----"]].map(([half = "", text = ""]) => {
    const name = `default.ca-builtin-${half}-${backend}`;
    const spec = { data: btoa(text) };
    return stored({ type: "Secret", mesh: "default", name, labels: {}, spec }, nowMs);
  });
}

Deno.test("identity makes a missing CA, then issues what proxies asked for meanwhile", () => {
  const world = new World({ mayCreateCas: true });
  world.request(web);
  assert.deepEqual(world.seen(), []);
  world.change([mesh("ca-1", "ca-1")], true);
  assert.deepEqual(world.seen(), [
    'web waits: the CA "ca-1" of mesh "default" is being made',
    "writes default.ca-builtin-cert-ca-1 default.ca-builtin-key-ca-1",
    "web gets root-1/leaf-2 trusting root-1",
  ]);
});

Deno.test("identity of a federated zone waits for the CA, visibly, and never makes one", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1")], true);
  world.request(web);
  const reason =
    'Secret "default.ca-builtin-cert-ca-1" of mesh "default" has not arrived from global';
  assert.deepEqual(world.seen(), [`web waits: ${reason}`]);
  assert.deepEqual(world.describe()?.waiting, [reason]);
  const [cert, key] = secrets("ca-1", "global-root") as [Resource, Resource];
  world.change([cert]);
  assert.match(world.seen()[0] ?? "", /key-ca-1" of mesh "default" is missing/);
  world.change([key]);
  assert.deepEqual(world.seen(), ["web gets global-root/leaf-1 trusting global-root"]);
});

Deno.test("identity says that a mesh is unknown, or has no mutual TLS, and serves when it has", () => {
  const world = new World({ mayCreateCas: false });
  world.request(web);
  world.change([], true);
  assert.deepEqual(world.seen(), ['web waits: mesh "default" is not known here yet']);
  world.change([mesh("")]);
  assert.deepEqual(world.seen(), ['web waits: mesh "default" has no mutual TLS']);
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "root")]);
  assert.deepEqual(world.seen(), ["web gets root/leaf-1 trusting root"]);
});

Deno.test("identity answers the same request with the same object, and other tags with a new leaf", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "root")], true);
  world.request(web);
  const first = world.issued.get("web");
  world.request(web);
  assert.equal(world.issued.get("web"), first);
  assert.equal(world.seen().length, 2);
  world.change([mesh("ca-1", "ca-1")]);
  assert.deepEqual(world.seen(), []);
  world.request(web, { "kuma.io/service": "web", version: "v2" });
  assert.deepEqual(world.seen(), ["web gets root/leaf-2 trusting root"]);
});

Deno.test("identity renews each proxy in the last fifth, by one timer", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "root")], true);
  world.request(web);
  world.pass(1_000);
  world.request(api);
  assert.deepEqual([...world.timers.keys()], ["renewal"]);
  world.seen();
  world.pass(0.8 * DAY_MS);
  assert.deepEqual(world.seen(), []);
  world.pass(0.1 * DAY_MS);
  assert.deepEqual(world.seen(), [
    "web gets root/leaf-3 trusting root",
    "api gets root/leaf-4 trusting root",
  ]);
  world.send({ tag: "release_identity", proxy: web });
  world.pass(DAY_MS);
  assert.deepEqual(world.seen(), ["api gets root/leaf-5 trusting root"]);
});

Deno.test("identity issues anew when the lifetime is another one, once", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "root")], true);
  world.request(web);
  world.seen();
  const dpCert = { rotation: { expiration: "1h" } };
  const spec: MeshSpec = {
    mtls: { enabledBackend: "ca-1", backends: [{ name: "ca-1", type: "builtin", dpCert }] },
  };
  world.change([{ ...mesh("ca-1", "ca-1"), spec: spec as never }]);
  assert.deepEqual(world.seen(), ["web gets root/leaf-2 trusting root"]);
  assert.equal(world.issued.get("web")?.expiresAtMs, START_MS + DAY_MS / 24);
  world.pass(0.5 * DAY_MS / 24);
  assert.deepEqual(world.seen(), []);
});

Deno.test("identity rotates: both roots first, the new signer after the lead, one root in the end", () => {
  const world = new World({ mayCreateCas: true, trustLeadMs: 5_000 });
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "old")], true);
  world.request(web);
  world.seen();
  world.pass(60_000);
  world.change([mesh("ca-2", "ca-1", "ca-2")]);
  assert.deepEqual(world.seen(), [
    "writes default.ca-builtin-cert-ca-2 default.ca-builtin-key-ca-2",
    "web gets old/leaf-1 trusting old root-2",
  ]);
  world.pass(4_999);
  assert.deepEqual(world.seen(), []);
  world.pass(1);
  assert.deepEqual(world.seen(), ["web gets root-2/leaf-3 trusting old root-2"]);
  world.change([mesh("ca-2", "ca-2")]);
  assert.deepEqual(world.seen(), ["web gets root-2/leaf-3 trusting root-2"]);
});

Deno.test("identity keeps few signatures in flight and drops what is out of date on arrival", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "root")], true);
  world.holdSigner = true;
  for (let number = 0; number < 10; number++) world.request({ ...web, name: `web-${number}` });
  assert.equal(world.held.length, 2);
  world.request({ ...web, name: "web-0" }, { "kuma.io/service": "other" });
  world.releaseSigner();
  assert.equal(world.issued.size, 10);
  assert.equal(world.seen().length, 10);
  assert.equal(world.describe()?.queued, 0);
});

Deno.test("identity tells why signing fails, and tries again", () => {
  const world = new World({ mayCreateCas: true });
  world.signerFails = true;
  world.change([mesh("ca-1", "ca-1")], true);
  world.request(web);
  world.seen();
  world.signerFails = false;
  world.hubAnswer = { ok: false, reason: "unavailable", error: "disk full" };
  world.pass(5_000);
  assert.deepEqual(world.seen(), [
    "writes default.ca-builtin-cert-ca-1 default.ca-builtin-key-ca-1",
  ]);
  world.hubAnswer = null;
  world.pass(5_000);
  assert.match(world.seen().at(-1) ?? "", /^web gets/);

  world.signerFails = true;
  world.request(api);
  assert.match(world.seen()[0] ?? "", /api waits: cannot sign with backend "ca-1".*out of ink/);
  world.signerFails = false;
  world.pass(5_000);
  assert.match(world.seen()[0] ?? "", /^api gets/);
});

Deno.test("identity refuses to keep more proxies than its bound", () => {
  const world = new World({ mayCreateCas: false });
  world.change([mesh("ca-1", "ca-1")], true);
  for (let number = 0; number <= 20_000; number++) world.request({ ...web, name: `web-${number}` });
  assert.match(world.seen().at(-1) ?? "", /web-20000 waits: .* already keeps 20000/);
});

Deno.test("identity makes a CA again that was deleted before it was seen", () => {
  const world = new World({ mayCreateCas: true });
  world.hubSilent = true;
  world.change([mesh("ca-1", "ca-1")], true);
  world.hubSilent = false;
  world.seen();
  // Written and deleted, with its mesh that is there again: one change set tells of both.
  world.change([mesh("ca-1", "ca-1"), ...secrets("ca-1", "gone").map(keyOnly)], false, 2);
  assert.deepEqual(world.seen(), [
    "writes default.ca-builtin-cert-ca-1 default.ca-builtin-key-ca-1",
  ]);
});

function keyOnly({ type, mesh, name }: Resource): ResourceKey {
  return { type, mesh, name };
}
