import assert from "node:assert/strict";
import { newSigningKey } from "../identity/io/signing_key.ts";
import { openMemoryStore } from "../store/memory.ts";
import { resolveConfig, type Sources } from "./config.ts";
import { openTokens, readKeySources } from "./tokens.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const HOUR = 3_600_000;
const PEM = await newSigningKey();

async function tokensOf(flags: Sources["flags"] = {}) {
  const store = openMemoryStore();
  const { config } = resolveConfig("standalone", { flags, env: () => undefined });
  const keys = await readKeySources(config);
  const put = async (name: string, data: string) => {
    const resource = {
      type: "GlobalSecret",
      mesh: "",
      name,
      labels: {},
      spec: { data: btoa(data) },
    };
    await store.commit([{ op: "put", resource }], NOW);
  };
  await put("user-token-signing-key-1", PEM);
  return { tokens: openTokens({ config, resources: store, keys }), store, put };
}

const NOTHING: Sources = { flags: {}, env: () => undefined };
const JANE = {
  kind: "user",
  claims: { name: "jane", groups: ["team"] },
  validForMs: HOUR,
} as const;
const AT = { id: "id-1", nowMs: NOW };

Deno.test("openTokens() issues what it verifies, until the store says otherwise", async () => {
  const { tokens, store, put } = await tokensOf();
  const issued = tokens.issue(JANE, AT);
  assert.ok(issued.ok);
  const check = () => {
    const found = tokens.verifyUser(issued.token, NOW);
    return found.ok ? found.user : found.message;
  };
  assert.deepEqual(check(), JANE.claims);
  await put("user-token-revocations", "id-1\n");
  assert.match(String(check()), /is revoked/);
  await put("user-token-revocations", "id-2\n");
  assert.deepEqual(check(), JANE.claims);
  const key = { type: "GlobalSecret", mesh: "", name: "user-token-signing-key-1" };
  await store.commit([{ op: "delete", key }], NOW);
  assert.match(String(check()), /key that is not there.*user-token-signing-key-1/);
});

Deno.test("openTokens() issues with what there is, and says what is missing", async () => {
  const { tokens, put, store } = await tokensOf({ zoneTokenIssuer: "false" });
  const claims = { name: "", mesh: "shop", tags: {}, type: "", workload: "" };
  const dataplane = tokens.issue({ kind: "dataplane", claims, validForMs: HOUR }, AT);
  assert.ok(!dataplane.ok && dataplane.reason === "no_key");
  assert.match(dataplane.message, /there is no mesh "shop"/);
  const shop = { type: "Mesh", mesh: "", name: "shop", labels: {}, spec: {} };
  await store.commit([{ op: "put", resource: shop }], NOW);
  const again = tokens.issue({ kind: "dataplane", claims, validForMs: HOUR }, AT);
  assert.match(again.ok ? "" : again.message, /Secret of mesh "shop" named "dataplane-.*-shop-1"/);
  const zoneClaims = { zone: "", scope: [] };
  const zone = tokens.issue({ kind: "zone", claims: zoneClaims, validForMs: HOUR }, AT);
  assert.ok(!zone.ok && zone.reason === "disabled");
  const federated = { ...resolveConfig("standalone", NOTHING).config, global: "grpcs://global" };
  const keys = await readKeySources(federated);
  const inZone = openTokens({ config: federated, resources: store, keys })
    .issue({ kind: "zone", claims: zoneClaims, validForMs: HOUR }, AT);
  assert.match(inZone.ok ? "" : inZone.message, /issued at global: grpcs:\/\/global/);
  await put("user-token-signing-key-2", "broken");
  const user = tokens.issue(JANE, AT);
  assert.ok(!user.ok && user.reason === "broken_key");
  assert.match(user.message, /user-token-signing-key-2" holds no readable/);
});

Deno.test("openTokens() lets no secret verify when it is told so", async () => {
  const { tokens } = await tokensOf({ userTokenSecrets: "false" });
  const issued = tokens.issue(JANE, AT);
  assert.ok(issued.ok);
  const found = tokens.verifyUser(issued.token, NOW);
  assert.match(found.ok ? "" : found.message, /among the public keys of the settings/);
});
