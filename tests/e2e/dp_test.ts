// What `ursa dp run` does with a real Envoy and a real control plane.

import { equal, match, ok, rejects } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { get } from "../../cli/demo/client.ts";
import { Cluster, type Workload, type Zone } from "../../cli/demo/cluster.ts";
import { until } from "../../cli/demo/until.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";

const project = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

async function withZone(
  run: (zone: Zone) => Promise<void>,
  auth: "token" | "none" = "token",
): Promise<void> {
  const dir = `${project}/.ursa/e2e/${crypto.randomUUID().slice(0, 8)}`;
  const envoy = await findEnvoy({ cacheDir: `${project}/.ursa/cache/envoy`, log: console.log });
  const cluster = new Cluster({ dir, project, envoy, auth });
  try {
    await run(await cluster.startZone("alone"));
  } finally {
    await cluster.stop();
  }
  // Only after a success: the logs of a failed run are what one wants to read.
  await Deno.remove(dir, { recursive: true });
}

async function untilAnswered({ proxy }: Workload): Promise<void> {
  await until(`answer of ${proxy.name}`, async () => {
    const { error } = await get({ host: proxy.address, port: proxy.port });
    return error === "" ? true : error;
  });
}

async function untilLogged(
  workload: { readonly logFile: string },
  wanted: RegExp,
): Promise<string> {
  let found = "";
  await until(`line like ${wanted}`, async () => {
    found = wanted.exec(await Deno.readTextFile(workload.logFile))?.[0] ?? "";
    return found !== "" || "nothing in the log";
  });
  return found;
}

Deno.test("dp run: registers, serves, and is gone from the list when it has ended", async () => {
  await withZone(async (zone) => {
    const web = await zone.startWorkload({ service: "web" });
    await untilAnswered(web);
    ok(await zone.rest.find("/meshes/default/dataplanes/web"));
    await web.stop();
    equal(await zone.rest.find("/meshes/default/dataplanes/web"), null);
    match(await Deno.readTextFile(web.proxy.child.logFile), /message=Leaving/);
  });
});

Deno.test("dp run: the control plane shows what Envoy says of itself, and nobody else does", async () => {
  await withZone(async (zone) => {
    const web = await zone.startWorkload({ service: "web" });
    await untilAnswered(web);
    const clusters = `${zone.controlPlane.url("api")}/meshes/default/dataplanes/web/clusters`;
    await until("Envoy's admin API", async () => {
      const response = await fetch(clusters);
      const text = await response.text();
      return response.ok && text.includes("localhost:9080::") || text;
    });
    const admin = `${web.proxy.address}:${new URL(web.proxy.admin).port}/clusters`;
    await rejects(fetch(`http://${admin}`));
    await rejects(fetch(`https://${admin}`));
  });
});

Deno.test("dp run: a mesh that is not there yet means waiting", async () => {
  await withZone(async (zone) => {
    const starting = zone.startWorkload({ service: "early", mesh: "later" });
    const logFile = `${zone.controlPlane.logFile.replace(/alone\.log$/, "")}early-alone.log`;
    await until("dp process", async () => {
      try {
        return (await Deno.stat(logFile)).isFile || "no log";
      } catch {
        return "no log";
      }
    });
    await untilLogged({ logFile }, /mesh \\"later\\" does not exist/);
    await zone.rest.put("/meshes/later", { type: "Mesh", name: "later" });
    await untilAnswered(await starting);
    // Nobody has a token of a mesh that is not there.
  }, "none");
});

Deno.test("dp run: a revoked token ends the stream; another one in the file brings Envoy back", async () => {
  await withZone(async (zone) => {
    const web = await zone.startWorkload({ service: "web" });
    await untilAnswered(web);
    const token = await Deno.readTextFile(web.proxy.tokenFile);
    const dump = await (await fetch(`${web.proxy.admin}/config_dump?include_eds`)).text();
    ok(
      dump.includes("dataplane_token") && !dump.includes(token),
      "Envoy keeps the token to itself",
    );
    const [, claims] = token.split(".");
    const { jti } = JSON.parse(new TextDecoder().decode(
      Uint8Array.fromBase64(claims!, { alphabet: "base64url" }),
    ));
    await zone.rest.put("/meshes/default/secrets/dataplane-token-revocations-default", {
      type: "Secret",
      mesh: "default",
      name: "dataplane-token-revocations-default",
      data: btoa(jti),
    });
    const told = await untilLogged(web.proxy.child, /token is revoked: .*/);
    match(told, /key id .*expiry .*ursa ctl generate dataplane-token/);
    await until(
      "web to be nobody's endpoint",
      async () => await zone.rest.find("/meshes/default/dataplanes/web") === null || "it is there",
    );
    // Envoy tries on, and is refused: said once.
    await until("more tries", async () => {
      const metrics = await (await fetch(`${zone.controlPlane.url("api")}/metrics`)).text();
      const tries = /ursa_xds_streams_refused_total\{[^}]*token_revoked[^}]*\} (\d+)/.exec(metrics);
      return Number(tries?.[1] ?? 0) >= 3 || `${tries?.[1]} tries`;
    });
    const log = await Deno.readTextFile(zone.controlPlane.logFile);
    equal(log.split("\n").filter((line) => /stream refused.*is revoked/.test(line)).length, 1);
    await zone.renewToken(web);
    await until(
      "web to be back",
      async () =>
        await zone.rest.find("/meshes/default/dataplanes/web") !== null || "it is not there",
    );
    await untilAnswered(web);
    await web.stop();
    equal(await zone.rest.find("/meshes/default/dataplanes/web"), null);
  });
});

Deno.test("dp run: a token for another service is refused in words that help", async () => {
  await withZone(async (zone) => {
    const web = await zone.startWorkload({ service: "web" });
    await untilAnswered(web);
    await zone.startWorkload({ service: "db" });
    const starting = zone.startWorkload({ service: "db", name: "web" });
    await untilLogged(
      zone.controlPlane,
      /Dataplane default\/web is somebody else's.*has \\"web\\"/,
    );
    await untilAnswered(web);
    // It tries on until the cluster ends.
    starting.catch(() => {});
  });
});

Deno.test("dp run: an Envoy that dies is started again", async () => {
  await withZone(async (zone) => {
    const web = await zone.startWorkload({ service: "web" });
    await untilAnswered(web);
    Deno.kill(web.proxy.envoyPid, "SIGKILL");
    await untilLogged(web.proxy.child, /Envoy ended; it is started again/);
    await untilAnswered(web);
    ok(await zone.rest.find("/meshes/default/dataplanes/web"));
  });
});

Deno.test("dp run: a second instance takes a name over, and the first one cannot come back", async () => {
  await withZone(async (zone) => {
    const first = await zone.startWorkload({ service: "web" });
    await untilAnswered(first);
    const second = await zone.startWorkload({ service: "web" });
    await untilAnswered(second);
    await untilLogged(zone.controlPlane, /superseded/);
    await first.stop();
    const { networking } = await zone.rest.get<{ networking: { address: string } }>(
      "/meshes/default/dataplanes/web",
    );
    equal(networking.address, second.proxy.address);
    await untilAnswered(second);
  });
});
