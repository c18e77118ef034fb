// The control plane's client to admin listeners, and the authority by which both sides know each other.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { type AdminAuthority, adminAuthority, zoneEnvoyAdmin } from "../../cli/admin_authority.ts";
import type { EnvoyQuestion } from "../../core/envoy_admin.ts";
import type { JsonObject, Resource, ResourceKey } from "../../core/resource.ts";
import { ADMIN_CA } from "../../identity/admin_ca.ts";
import { openMemoryStore } from "../../store/memory.ts";

const WEB: ResourceKey = { type: "Dataplane", mesh: "default", name: "web-1" };
const STATS: EnvoyQuestion = { kind: "stats", format: "text", usedOnly: true };

function authorityOf(stored?: JsonObject): AdminAuthority {
  const made = adminAuthority({
    get: (key) =>
      key.name === ADMIN_CA.name && stored ? { ...key, spec: stored } as Resource : undefined,
  });
  assert.ok("server" in made);
  return made;
}

/** Envoy's admin listener as far as the client sees it; it answers what was asked, and by whom. */
async function listen({ server }: AdminAuthority, status = 200) {
  const listener = createServer({
    cert: server.certificateChain,
    key: server.privateKey,
    ca: server.trustedCa,
    requestCert: true,
    rejectUnauthorized: true,
  }, (request, response) => {
    const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate();
    response.writeHead(status).end(`${request.url} from ${subjectaltname}`);
  });
  // Another loopback address than the one on which admin APIs are plain.
  listener.listen(0, "127.0.0.2");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      listener.closeAllConnections();
      listener.close();
      await once(listener, "close");
    },
  };
}

async function ask(
  authority: Parameters<typeof zoneEnvoyAdmin>[0],
  { port, key = WEB, labels = {} }: {
    readonly port: number;
    readonly key?: ResourceKey;
    readonly labels?: Readonly<Record<string, string>>;
  },
) {
  const store = openMemoryStore();
  const spec = { networking: { address: "127.0.0.2", admin: { port } } };
  await store.commit([{ op: "put", resource: { ...WEB, labels, spec } }], 0);
  const said = await zoneEnvoyAdmin(authority, { store, zone: "east" })(key, STATS);
  return said.ok ? new TextDecoder().decode(said.body) : `${said.reason}: ${said.detail}`;
}

Deno.test("the control plane asks as kuma-cp, under the authority that the next start finds again", async () => {
  const first = authorityOf();
  const [op] = first.unwritten;
  assert.ok(op?.op === "put");
  const next = authorityOf(op.resource.spec);
  assert.deepEqual(next.unwritten, []);
  await using envoy = await listen(first);
  assert.equal(await ask(next, envoy), "/stats?usedonly from DNS:kuma-cp");
});

Deno.test("nobody is believed under another authority", async () => {
  await using envoy = await listen(authorityOf());
  assert.match(await ask(authorityOf(), envoy), /^failed: Envoy's admin API at 127\.0\.0\.2:\d+: /);
});

Deno.test("a control plane's certificate does not serve as an admin listener's", async () => {
  const authority = authorityOf();
  await using impostor = await listen({ ...authority, server: authority.client });
  assert.match(await ask(authority, impostor), /^failed: /);
});

Deno.test("what cannot be asked, or does not answer, says why", async () => {
  const authority = authorityOf();
  await using envoy = await listen(authority, 503);
  assert.match(await ask(authority, envoy), /^failed: .* it answers 503/);
  const { port } = envoy;
  assert.match(await ask(authority, { port, key: { ...WEB, name: "web-2" } }), /^unknown: /);
  const labels = { "kuma.io/zone": "west" };
  assert.match(await ask(authority, { port, labels }), /^unreachable: .* is in zone "west"/);
});

Deno.test("a stored authority that is none closes the admin APIs, and says what to do", async () => {
  const other = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  const [op] = authorityOf().unwritten;
  assert.ok(op?.op === "put");
  const [cert] = atob(String(op.resource.spec["data"])).split("-----BEGIN P");
  for (const data of ["", "%", btoa("hello"), btoa(`${cert}${other}`)]) {
    const get = (key: ResourceKey) => ({ ...key, spec: { data } }) as unknown as Resource;
    const made = adminAuthority({ get });
    assert.ok("fault" in made, data);
    assert.match(made.fault, /GlobalSecret "envoy-admin-ca"; delete it and start again/);
    assert.equal(await ask(made, { port: 1 }), `unreachable: ${made.fault}`);
  }
});
