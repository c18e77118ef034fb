// Tokens and signing keys, made on one side and taken on the other.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac, sign } from "node:crypto";
import { claimBlock } from "../../cli/demo/addresses.ts";
import { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import { newSigningKey } from "../../identity/io/signing_key.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { type Bench, interop } from "./interop.ts";
import { binary, freePort, KumaCp, Kumactl, runToEnd, startKumaDp } from "./kuma.ts";

/** What a reverse proxy on this machine would add: who comes through it is not the administrator by place. */
const THROUGH_A_PROXY = { "x-forwarded-for": "10.0.0.9" };
const ADMIN_TOKEN = "/globalsecrets/admin-user-token";

type Secret = JsonObject & { readonly data: string };

async function whoIs(api: string, token: string): Promise<string> {
  const response = await fetch(`${api}/who-am-i`, {
    headers: { ...THROUGH_A_PROXY, authorization: `Bearer ${token}` },
  });
  const { name, groups, title } = await response.json();
  return response.ok ? `${name} ${groups}` : `${response.status} ${title}`;
}

/** kumactl as somebody who is known by a token alone. */
async function kumactlOf(bench: Bench, api: string, token: string): Promise<Kumactl> {
  const kumactl = await Kumactl.of(bench.dir, api);
  await kumactl.ok([
    ...["config", "control-planes", "add", "--name", "peer", "--address", api, "--overwrite"],
    ...["--auth-type", "tokens", "--auth-conf", `token=${token}`],
    ...["--headers", "X-Forwarded-For=10.0.0.9"],
  ]);
  return kumactl;
}

async function ursaCtl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runToEnd(Deno.execPath(), [
    ...["run", "-q", "--no-prompt", `-P=ctl`, `${PROJECT}/main.ts`, "ctl", ...args],
  ]);
  assert.equal(code, 0, stderr);
  return stdout;
}

interop(
  import.meta.url,
  { peer: "kumactl", feature: "generates and uses tokens, rotates their keys, revokes them" },
  async (bench) => {
    const global = await bench.cluster.startGlobal();
    const api = global.url("api");
    const admin = atob((await global.rest.get<Secret>(ADMIN_TOKEN)).data);
    const kumactl = await kumactlOf(bench, api, admin);
    assert.match(await kumactl.ok(["get", "global-secrets"]), /zone-token-signing-key-1/);
    for (const kind of [["dataplane", "--mesh=default"], ["zone", "--zone=east"]]) {
      const [name, flag] = kind as [string, string];
      const token = await kumactl.ok(["generate", `${name}-token`, flag, "--valid-for", "24h"]);
      assert.equal(token.split(".").length, 3);
    }
    const generate = () =>
      kumactl.ok([
        ...["generate", "user-token", "--name", "jane", "--group", "ops", "--valid-for", "1h"],
      ]);
    const first = await generate();
    assert.equal(await whoIs(api, first), "jane ops,mesh-system:authenticated");
    const jane = await kumactlOf(bench, api, first);
    assert.match((await jane.run(["get", "global-secrets"])).stderr, /Access Denied/);

    const key = await kumactl.ok(["generate", "signing-key"]);
    const newKey = "type: GlobalSecret\nname: user-token-signing-key-0002\ndata: {{ key }}\n";
    await kumactl.ok(["apply", "-f", "-", "--var", `key=${key}`], newKey);
    const second = await generate();
    assert.equal(JSON.parse(atob(second.split(".")[0]!)).kid, "0002");
    assert.equal(await whoIs(api, second), "jane ops,mesh-system:authenticated");
    assert.equal(await whoIs(api, first), "jane ops,mesh-system:authenticated");

    const { jti } = JSON.parse(atob(second.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
    const list = `type: GlobalSecret\nname: user-token-revocations\ndata: ${btoa(`${jti}\n`)}\n`;
    await kumactl.apply(list);
    assert.equal(await whoIs(api, second), "401 Invalid authentication data");
    await kumactl.ok(["delete", "global-secret", "user-token-signing-key-1"]);
    assert.equal(await whoIs(api, first), "401 Invalid authentication data");
  },
);

interop(
  import.meta.url,
  { peer: "kumactl", feature: "issues tokens offline that Ursa takes, with its public key" },
  async (bench) => {
    await Deno.mkdir(bench.dir, { recursive: true });
    const [file, publicFile] = [`${bench.dir}/key.pem`, `${bench.dir}/public.pem`];
    const alone = async (...args: string[]) => {
      const { stdout } = await runToEnd(binary("kumactl"), ["--no-config", "generate", ...args]);
      return stdout;
    };
    await Deno.writeTextFile(file, await alone("signing-key", "--format=pem"));
    const publicKey = await alone("public-key", "--signing-key-path", file);
    await Deno.writeTextFile(publicFile, publicKey);
    // The same key, read by Ursa's own tool.
    assert.equal(await ursaCtl("generate", "public-key", "--signing-key-path", file), publicKey);
    const global = await bench.cluster.startGlobal([
      ...["--user-token-keys", `hr=${publicFile}`, "--user-token-secrets", "false"],
    ]);
    const token = await alone(
      ...["user-token", "--name", "jane", "--group", "ops", "--valid-for", "1h"],
      ...["--signing-key-path", file, "--kid", "hr"],
    );
    assert.equal(await whoIs(global.url("api"), token), "jane ops,mesh-system:authenticated");
    const { data } = await global.rest.get<Secret>(ADMIN_TOKEN);
    assert.equal(await whoIs(global.url("api"), atob(data)), "401 Invalid authentication data");
  },
);

interop(
  import.meta.url,
  { peer: "kuma-cp", feature: "takes tokens that ursa ctl generates, with a key or by asking" },
  async (bench) => {
    const kuma = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
    const api = kuma.url("api");
    const rest = new Rest(api);
    // Kuma makes it after it is ready.
    await until("the signing key of kuma-cp", async () => {
      const secret = await rest.find<{ data: string }>("/globalsecrets/user-token-signing-key-1");
      if (!secret) return "not there";
      await Deno.writeTextFile(`${bench.dir}/key.pem`, atob(secret.data));
      return true;
    });
    const jane = ["generate", "user-token", "--name", "jane", "--group", "ops,dev"];
    const offline = ["--signing-key-path", `${bench.dir}/key.pem`, "--kid", "1"];
    const wanted = "jane ops,dev,mesh-system:authenticated";
    assert.equal(await whoIs(api, await ursaCtl(...jane, "--valid-for", "1h", ...offline)), wanted);
    const asked = await ursaCtl("--address", api, ...jane, "--valid-for", "1h");
    assert.equal(await whoIs(api, asked), wanted);
  },
);

/** An ingress and a dataplane of kuma-dp, each with a token of the zone's global. */
async function proveThemselves(bench: Bench, at: {
  readonly zone: { readonly name: string; readonly dp: string; readonly caFile: string };
  readonly rest: Rest;
  /** Speaks with global. */
  readonly kumactl: Kumactl;
}): Promise<void> {
  const { zone, rest, kumactl } = at;
  const block = claimBlock();
  bench.keep({ stop: () => Promise.resolve(block.release()) });
  const generate = (...args: string[]) => kumactl.ok(["generate", ...args, "--valid-for", "1h"]);
  const proxies = [
    {
      proxyType: "ingress",
      token: await generate("zone-token", "--zone", zone.name, "--scope", "ingress"),
      overview: "/zoneingresses/_overview",
      resource: `type: ZoneIngress
name: in-1
networking:
  address: ${block.address(2)}
  port: 10001
  advertisedAddress: ${block.address(2)}
  advertisedPort: 10001
  admin: {port: ${freePort()}}
`,
    },
    {
      proxyType: "dataplane",
      token: await generate("dataplane-token", "--tag", "kuma.io/service=web"),
      overview: "/meshes/default/dataplanes/_overview",
      resource: `type: Dataplane
mesh: default
name: web-1
networking:
  address: ${block.address(3)}
  admin: {port: ${freePort()}}
  inbound:
  - port: 8080
    servicePort: 9080
    tags: {kuma.io/service: web}
`,
    },
  ] as const;
  for (const { proxyType, token, resource, overview } of proxies) {
    bench.keep(
      await startKumaDp({
        ...bench,
        name: `${zone.name}-${proxyType}`,
        resource,
        proxyType,
        token,
        controlPlane: { url: zone.dp, caFile: zone.caFile },
      }),
    );
    await until(`${proxyType} of ${zone.name}`, async () => {
      const { items } = await rest.get<{ items: readonly Overview[] }>(overview);
      return items.some(isServed) || JSON.stringify(items);
    });
  }
}

type Overview = JsonObject & {
  readonly dataplaneInsight?: Insight;
  readonly zoneIngressInsight?: Insight;
};

interface Insight {
  readonly subscriptions?: readonly {
    readonly disconnectTime?: string;
    readonly status?: { readonly cds?: { readonly responsesAcknowledged?: string } };
  }[];
}

function isServed({ dataplaneInsight, zoneIngressInsight }: Overview): boolean {
  const { subscriptions = [] } = dataplaneInsight ?? zoneIngressInsight ?? {};
  return subscriptions.some(({ disconnectTime, status }) =>
    disconnectTime === undefined && status?.cds?.responsesAcknowledged !== undefined
  );
}

interop(
  import.meta.url,
  {
    peer: "kuma-cp",
    feature: "as a zone takes the tokens of its proxies that Ursa's global issued",
  },
  async (bench) => {
    const global = await bench.cluster.startGlobal(["--zone-auth", "none"]);
    const kuma = await bench.keep(
      new KumaCp({
        ...bench,
        name: "east",
        mode: "zone",
        global: { url: global.url("kds"), caFile: global.caFile },
      }),
    ).start();
    await proveThemselves(bench, {
      zone: { name: "east", dp: kuma.url("dp"), caFile: kuma.caFile },
      rest: kuma.rest,
      kumactl: await Kumactl.of(bench.dir, global.url("api")),
    });
  },
);

interop(
  import.meta.url,
  { peer: "kuma-cp", feature: "as global issues tokens that proxies of Ursa's zone show" },
  async (bench) => {
    const kuma = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
    const { controlPlane } = await bench.cluster.startZone("west", {
      url: kuma.url("kds"),
      caFile: kuma.caFile,
    });
    await until(
      "the keys of global",
      async () =>
        await controlPlane.rest.find("/globalsecrets/zone-token-signing-public-key-1") !== null ||
        "not there",
    );
    await proveThemselves(bench, {
      zone: { name: "west", dp: controlPlane.url("dp"), caFile: controlPlane.caFile },
      rest: controlPlane.rest,
      kumactl: await kuma.kumactl(),
    });
  },
);

/** By hand, for what no tool makes. */
function signed(header: JsonObject, payload: JsonObject, pem: string): string {
  const part = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const content = `${part(header)}.${part(payload)}`;
  return `${content}.${sign("sha256", Buffer.from(content), pem).toString("base64url")}`;
}

interop(
  import.meta.url,
  { peer: "kuma-cp", feature: "takes and refuses the same user tokens as Ursa" },
  async (bench) => {
    const kuma = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
    const ursa = await bench.cluster.startGlobal(["--zone-auth", "none"]);
    const name = "user-token-signing-key-1";
    const key = { type: "GlobalSecret", name, data: btoa(await newSigningKey()) };
    const pem = atob(key.data);
    const old = { ...key, name: "user-token-signing-key", data: btoa("a secret of old") };
    const revoked = { ...key, name: "user-token-revocations", data: btoa("r-1,r-2\n") };
    for (const { rest } of [kuma, ursa]) {
      await until(
        "defaults",
        async () => await rest.find(`/globalsecrets/${name}`) !== null || "no",
      );
      for (const one of [key, old, revoked]) await rest.put(`/globalsecrets/${one.name}`, one);
    }
    const now = Math.floor(Date.now() / 1_000);
    const rs = { alg: "RS256", kid: "1", typ: "JWT" };
    const jane = { Name: "jane", Groups: ["ops"], exp: now + 3_600, jti: "id" };
    const hmac = (kid: string) => {
      const part = (value: JsonObject) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const content = `${part({ alg: "HS256", kid })}.${part(jane)}`;
      return `${content}.${
        createHmac("sha256", "a secret of old").update(content).digest("base64url")
      }`;
    };
    const cases: Readonly<Record<string, string>> = {
      good: signed(rs, jane, pem),
      "no type": signed({ alg: "RS256", kid: "1" }, jane, pem),
      "no expiry": signed(rs, { Name: "jane" }, pem),
      "expiry with a fraction": signed(rs, { ...jane, exp: now + 60.5 }, pem),
      "expiry a text": signed(rs, { ...jane, exp: "never" }, pem),
      "expiry null": signed(rs, { ...jane, exp: null }, pem),
      expired: signed(rs, { ...jane, exp: now - 1 }, pem),
      "not yet": signed(rs, { ...jane, nbf: now + 600 }, pem),
      "issued later": signed(rs, { ...jane, iat: now + 600 }, pem),
      revoked: signed(rs, { ...jane, jti: "r-2" }, pem),
      "no id": signed(rs, { Name: "jane" }, pem),
      "lower case": signed(rs, { name: "jane", groups: ["ops"] }, pem),
      "name a number": signed(rs, { ...jane, Name: 1 }, pem),
      "groups a text": signed(rs, { ...jane, Groups: "ops" }, pem),
      "groups null": signed(rs, { ...jane, Groups: null }, pem),
      "other claims": signed(rs, { ...jane, Zone: "east", extra: { a: 1 } }, pem),
      nobody: signed(rs, {}, pem),
      "no key id": signed({ alg: "RS256" }, jane, pem),
      "key id a number": signed({ alg: "RS256", kid: 1 }, jane, pem),
      "key id unknown": signed({ ...rs, kid: "9" }, jane, pem),
      "key id empty": signed({ ...rs, kid: "" }, jane, pem),
      "key of old": hmac("0"),
      "key of old by another id": hmac("x"),
      "other algorithm": signed({ ...rs, alg: "RS512" }, jane, pem),
      "no algorithm": signed({ ...rs, alg: "none" }, jane, pem),
      "another key": signed(rs, jane, await newSigningKey()),
      "cut short": signed(rs, jane, pem).slice(0, -9),
      "two parts": signed(rs, jane, pem).replace(/\.[^.]*$/, ""),
      "no token": "x",
    };
    for (const [what, token] of Object.entries(cases)) {
      assert.equal(await whoIs(ursa.url("api"), token), await whoIs(kuma.url("api"), token), what);
    }
  },
);
