import assert from "node:assert/strict";
import { orderIn } from "../../api/plane_test.ts";
import type { TokenOrder } from "../../core/token.ts";
import { keyringOf } from "../../identity/tokens/keyring.ts";
import { verifyToken } from "../../identity/tokens/verify.ts";
import { NOW_MS, shell } from "./shell_test.ts";

Deno.test("generate …-token asks the control plane", () =>
  shell(async ({ run }) => {
    const asked = async (...args: string[]) =>
      orderIn((await run("generate", ...args)).out) as TokenOrder;
    assert.deepEqual(
      await asked(
        ...["dataplane-token", "-m", "shop", "--name", "web-1", "--valid-for", "1h30m"],
        ...["--tag", "kuma.io/service=web,api", "--tag", "a=1,b=2", "--workload", "w"],
        ...["--proxy-type", "dataplane"],
      ),
      {
        kind: "dataplane",
        claims: {
          name: "web-1",
          mesh: "shop",
          tags: { "kuma.io/service": ["web", "api"], a: ["1"], b: ["2"] },
          type: "dataplane",
          workload: "w",
        },
        validForMs: 5_400_000,
      },
    );
    const zone = ["zone-token", "--zone", "east", "--valid-for", "24h"];
    const both = { zone: "east", scope: ["ingress", "egress"] };
    assert.deepEqual((await asked(...zone)).claims, both);
    assert.deepEqual(
      (await asked(...zone, "--scope", "cp", "--scope", "ingress,egress")).claims,
      { zone: "east", scope: ["cp", "ingress", "egress"] },
    );
    assert.deepEqual(
      (await asked("user-token", "--name", "jane", "--group", "a,b", "--valid-for", "1h")).claims,
      { name: "jane", groups: ["a", "b"] },
    );
  }));

Deno.test("generate …-token with a key at hand asks nobody", () =>
  shell(async ({ run, files, env }) => {
    env.set("URSA_ADDRESS", "http://127.0.0.1:1");
    files.set("key.pem", (await run("generate", "signing-key", "--format", "pem")).out);
    const signing = ["--valid-for", "1h", "--signing-key-path", "key.pem", "--kid", "hr"];
    const made = await run(
      "generate",
      "user-token",
      "--name",
      "jane",
      "--group",
      "ops",
      ...signing,
    );
    assert.deepEqual([made.code, made.err], [0, ""]);
    assert.doesNotMatch(made.out, /\s/);
    const pem = (await run("generate", "public-key", "--signing-key-path", "key.pem")).out;
    assert.match(pem, /^-----BEGIN RSA PUBLIC KEY-----\n/);
    const ring = keyringOf({
      kind: "user",
      mesh: "",
      secrets: [],
      publicKeys: [{ keyId: "hr", pem }],
    });
    const verdict = verifyToken("user", made.out, ring, NOW_MS);
    assert.ok(verdict.ok);
    assert.deepEqual(verdict.token.claims, { name: "jane", groups: ["ops"] });
    assert.match(verdict.token.id, /^[0-9a-f-]{36}$/);
    assert.equal(verdict.token.expiresAtMs, NOW_MS + 3_600_000);
  }));

Deno.test("generate signing-key prints what a Secret's data is", () =>
  shell(async ({ run }) => {
    const { out } = await run("generate", "signing-key");
    assert.match(atob(out), /^-----BEGIN RSA PRIVATE KEY-----\n/);
  }));

Deno.test("generate says what is wrong with its options", () =>
  shell(async ({ run, files }) => {
    files.set("bad.pem", "no key");
    const cases: readonly (readonly [string, number, RegExp])[] = [
      ["dataplane-token", 2, /--valid-for/],
      ["dataplane-token --valid-for 1d", 2, /--valid-for must be a duration/],
      ["dataplane-token --valid-for 0", 2, /--valid-for must be more than 0/],
      ["dataplane-token --valid-for 1h --tag web", 2, /--tag must be tag=value,…, is "web"/],
      ["dataplane-token --valid-for 1h --proxy-type gateway", 2, /Allowed choices/],
      ["dataplane-token --valid-for 1h --kid 1", 2, /--kid goes with --signing-key-path/],
      ["dataplane-token --valid-for 1h --signing-key-path bad.pem", 2, /needs --kid/],
      [
        "dataplane-token --valid-for 1h --signing-key-path bad.pem --kid 1",
        2,
        /bad\.pem: it holds no readable RSA key/,
      ],
      ["dataplane-token -m keyless --valid-for 1h", 1, /Signing Key not found/],
      ["zone-token --valid-for 1h", 2, /--zone/],
      ["zone-token --zone east --scope outgress --valid-for 1h", 2, /has "outgress"/],
      ["user-token --valid-for 1h", 2, /--name/],
      ["public-key", 2, /--signing-key-path/],
      ["signing-key --format der", 2, /Allowed choices/],
    ];
    for (const [args, code, wanted] of cases) {
      const ran = await run("generate", ...args.split(" "));
      assert.deepEqual([ran.code, ran.out], [code, ""], args);
      assert.match(ran.err, wanted, args);
    }
  }));

Deno.test("ctl says who asks: by file, by variable, by context, but never elsewhere", () =>
  shell(
    async ({ run, files, env, address }) => {
      files.set("jane.jwt", "of-jane\n");
      files.set("stale.jwt", "stale");
      files.set("bad.jwt", "two words");
      // Denied as who one is.
      const asks = async (...args: string[]) =>
        /user "([^"/]*)|(authentication)|(There is no token)/.exec(
          (await run(...args, "get", "secrets")).err,
        )?.slice(1).find((one) => one !== undefined);
      const nobody = "mesh-system:anonymous";
      assert.equal(await asks(), nobody);
      assert.equal(await asks("--token-file", "jane.jwt"), "jane");
      assert.equal(await asks("--token-file", "stale.jwt"), "authentication");
      assert.equal(await asks("--token-file", "bad.jwt"), "There is no token");
      env.set("URSA_TOKEN_FILE", "jane.jwt");
      assert.equal(await asks(), "jane");
      env.clear();
      const add = ["config", "control-planes", "add", "--name", "one", "--address", address];
      assert.equal((await run(...add, "--token-file", "jane.jwt")).code, 0);
      assert.match(files.get("contexts") ?? "", /authType: tokens\n +authConf:\n +token: of-jane/);
      assert.doesNotMatch((await run("config", "view")).out, /of-jane/);
      assert.equal(await asks(), "jane");
      env.set("URSA_ADDRESS", address);
      assert.equal(await asks(), nobody);
      assert.equal(await asks("--context", "one"), "jane");
      assert.equal(await asks("--context", "one", "--address", address), nobody);
    },
    {},
    { localhostIsAdmin: false },
  ));
