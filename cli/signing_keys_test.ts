import assert from "node:assert/strict";
import { openMemoryStore } from "../store/memory.ts";
import { resolveConfig, type Sources } from "./config.ts";
import type { Mode } from "./settings.ts";
import { missingTokenSecrets, withSigningKeys } from "./signing_keys.ts";
import { openTokens, readKeySources } from "./tokens.ts";

const ZONE = { zone: "east", global: "grpcs://global" };

function opened(mode: Mode, flags: Sources["flags"] = {}) {
  const store = openMemoryStore();
  const { config } = resolveConfig(mode, { flags, env: () => undefined });
  return { store, config };
}

async function namesOf(mode: Mode, flags: Sources["flags"] = {}) {
  const { store, config } = opened(mode, flags);
  const missing = await missingTokenSecrets({ config, store, meshes: ["default"] });
  return missing.map(({ type, mesh, name }) => [type, mesh, name].filter(Boolean).join(" "));
}

Deno.test("missingTokenSecrets() has a control plane begin with Kuma's keys", async () => {
  const user = "GlobalSecret user-token-signing-key-1";
  const admin = "GlobalSecret admin-user-token";
  const all = [
    user,
    "GlobalSecret zone-token-signing-key-1",
    "Secret default dataplane-token-signing-key-default-1",
    admin,
  ];
  assert.deepEqual(await namesOf("standalone"), all);
  assert.deepEqual(await namesOf("global"), all);
  assert.deepEqual(await namesOf("remote", ZONE), [user, admin]);
  assert.deepEqual(await namesOf("remote", { ...ZONE, adminToken: "false" }), [user]);
  assert.deepEqual(await namesOf("remote", { ...ZONE, userTokenIssuer: "false" }), [user]);
});

Deno.test("missingTokenSecrets() makes nothing twice, and the administrator's token holds", async () => {
  const { store, config } = opened("global");
  const missing = () => missingTokenSecrets({ config, store, meshes: ["default"] });
  await store.commit((await missing()).map((resource) => ({ op: "put", resource })), Date.now());
  assert.deepEqual(await missing(), []);
  const keys = await readKeySources(config);
  const tokens = openTokens({ config, resources: store, keys });
  const secret = store.get({ type: "GlobalSecret", mesh: "", name: "admin-user-token" });
  const check = tokens.verifyUser(atob(String(secret?.spec["data"])), Date.now());
  assert.deepEqual(check, {
    ok: true,
    user: { name: "mesh-system:admin", groups: ["mesh-system:admin"] },
  });
});

Deno.test("withSigningKeys() adds a key to a new mesh, and to nothing else", async () => {
  const { store } = opened("global");
  const put = (type: string, name: string) =>
    ({ op: "put", resource: { type, mesh: "", name, labels: {}, spec: {} } }) as const;
  const added = async () =>
    (await withSigningKeys([put("Mesh", "shop"), put("Zone", "east")], store)).slice(2)
      .map((op) => op.op === "put" && `${op.resource.mesh}/${op.resource.name}`);
  assert.deepEqual(await added(), ["shop/dataplane-token-signing-key-shop-1"]);
  await store.commit([put("Mesh", "shop")], Date.now());
  assert.deepEqual(await added(), []);
});
