import assert from "node:assert/strict";
import { type CallOptions, testPlane } from "./plane_test.ts";

const FAR = "10.0.0.9";
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const JANE: CallOptions = { peer: FAR, headers: bearer("of-jane") };
const NOBODY: CallOptions = { peer: FAR };

async function nameOf(options: CallOptions, localhostIsAdmin = true): Promise<string> {
  const { status, json } = await testPlane({}, { localhostIsAdmin })
    .call("GET", "/who-am-i", options);
  return status === 200 ? `${json.name} ${json.groups}` : `${status} ${json.title}: ${json.detail}`;
}

Deno.test("/who-am-i tells who asks, by place and by token", async () => {
  const admin = "mesh-system:admin mesh-system:admin,mesh-system:authenticated";
  const anonymous = "mesh-system:anonymous mesh-system:unauthenticated";
  const jane = "jane team,mesh-system:authenticated";
  const refused = "401 Invalid authentication data: the user token has expired";
  const cases: readonly (readonly [CallOptions, boolean, string])[] = [
    [{}, true, admin],
    [{}, false, anonymous],
    [NOBODY, true, anonymous],
    [JANE, true, jane],
    [{ headers: bearer("of-jane") }, false, jane],
    // By place already: kuma@v2.13.10:pkg/plugins/authn/api-server/tokens/authenticator.go.
    [{ headers: bearer("of-jane") }, true, admin],
    [{ peer: FAR, headers: bearer("stale") }, true, refused],
    [{ peer: FAR, headers: bearer("") }, true, refused],
    [{ peer: FAR, headers: { authorization: "bearer of-jane" } }, true, jane],
    // Another scheme is somebody else's: a proxy's in front, say.
    [{ peer: FAR, headers: { authorization: "Basic YTpi" } }, true, anonymous],
    [{ peer: FAR, headers: { authorization: "of-jane" } }, true, anonymous],
  ];
  for (const [options, localhostIsAdmin, wanted] of cases) {
    assert.equal(await nameOf(options, localhostIsAdmin), wanted, JSON.stringify(options));
  }
});

Deno.test("a token that does not hold is refused everywhere but where nobody is asked", async () => {
  const plane = testPlane();
  const stale = { peer: FAR, headers: bearer("stale") };
  for (const path of ["/meshes", "/config", "/nowhere", "/_resources", "/secrets"]) {
    const { status, headers } = await plane.call("GET", path, stale);
    assert.deepEqual([status, headers["www-authenticate"]], [401, "Bearer"], path);
  }
  for (const path of ["/", "/ready", "/healthy", "/metrics"]) {
    assert.equal((await plane.call("GET", path, stale)).status, 200, path);
  }
  const body = { type: "Mesh", name: "shop" };
  assert.equal((await plane.call("PUT", "/meshes/shop", { ...stale, body })).status, 401);
  assert.equal((await plane.call("PUT", "/meshes/shop", { ...NOBODY, body })).status, 201);
});

Deno.test("key material is for those who may have it, whatever they do with it", async () => {
  const secret = { type: "Secret", mesh: "default", name: "s", data: "eA==" };
  const globalSecret = { type: "GlobalSecret", name: "g", data: "eA==" };
  const calls: readonly (readonly [string, string, unknown?])[] = [
    ["GET", "/secrets"],
    ["GET", "/meshes/default/secrets"],
    ["GET", "/meshes/default/secrets/s"],
    ["PUT", "/meshes/default/secrets/s", secret],
    ["PUT", "/meshes/default/secrets/s?dry-run", secret],
    ["DELETE", "/meshes/default/secrets/s"],
    ["GET", "/globalsecrets"],
    ["GET", "/global-secrets/g"],
    ["PUT", "/globalsecrets/g", globalSecret],
    ["DELETE", "/globalsecrets/g"],
    ["GET", "/debug/actors"],
  ];
  const statusesOf = async (options: CallOptions, access = {}) => {
    const plane = testPlane({}, { access });
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    await plane.put({ ...secret, spec: { data: "eA==" } });
    await plane.put({ ...globalSecret, spec: { data: "eA==" } });
    const statuses = [];
    for (const [method, path, body] of calls) {
      statuses.push((await plane.call(method, path, { ...options, body })).status);
    }
    return [...new Set(statuses)];
  };
  assert.deepEqual(await statusesOf({}), [200]);
  assert.deepEqual(await statusesOf(NOBODY), [403]);
  assert.deepEqual(await statusesOf(JANE), [403]);
  const team = { adminResources: { users: [], groups: ["team"] } };
  assert.deepEqual(await statusesOf(JANE, team), [200]);
  // Who is not named any more may not, the administrator included.
  assert.deepEqual(await statusesOf({}, team), [403]);
});

Deno.test("a refusal names who was refused, and what helps", async () => {
  const { json } = await testPlane().call("GET", "/secrets", JANE);
  assert.equal(json.title, "Access Denied");
  assert.match(
    json.detail,
    /^user "jane\/team,mesh-system:authenticated" cannot access the resource of type "Secret": send a user token that may .* loopback address$/,
  );
  const closed = await testPlane({}, { localhostIsAdmin: false }).call("GET", "/secrets");
  assert.doesNotMatch(closed.json.detail, /loopback/);
});

Deno.test("what Envoys say is for everybody, until it is not, one kind at a time", async () => {
  const statusesOf = async (access = {}) => {
    const plane = testPlane({}, { access });
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    await plane.put({ type: "Dataplane", mesh: "default", name: "web", spec: {} });
    const statuses = [];
    for (const kind of ["xds", "stats", "clusters", "_config"]) {
      const path = `/meshes/default/dataplanes/web/${kind}`;
      statuses.push((await plane.call("GET", path, NOBODY)).status);
    }
    return statuses;
  };
  const reached = 400; // No Envoy here.
  const unheard = 404; // Nor an insight.
  assert.deepEqual(await statusesOf(), [reached, reached, reached, unheard]);
  const ops = { users: [], groups: ["ops"] };
  assert.deepEqual(await statusesOf({ viewConfigDump: ops }), [403, reached, reached, 403]);
  assert.deepEqual(await statusesOf({ viewStats: ops }), [reached, 403, reached, unheard]);
  assert.deepEqual(await statusesOf({ viewClusters: ops }), [reached, reached, 403, unheard]);
});

Deno.test("the configuration is for everybody, until it is not", async () => {
  assert.equal((await testPlane().call("GET", "/config", NOBODY)).status, 200);
  const access = { controlPlaneMetadata: { users: ["jane"], groups: [] } };
  assert.equal((await testPlane({}, { access }).call("GET", "/config", NOBODY)).status, 403);
  assert.equal((await testPlane({}, { access }).call("GET", "/config", JANE)).status, 200);
});
