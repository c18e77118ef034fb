// Certificates and CAs change below real Envoys: nobody who has a right to be served notices.

import { equal, notEqual, ok } from "node:assert/strict";
import { Load } from "../../cli/demo/client.ts";
import type { Proxy } from "../../cli/demo/cluster.ts";
import { type Scene, startStandalone, startTwoZones } from "../../cli/demo/scene.ts";
import { until } from "../../cli/demo/until.ts";
import type { JsonObject } from "../../core/resource.ts";
import type { KeyPair } from "../../identity/ca.ts";
import { caOf, clientOf, isSignedBy, serialsOf, visit } from "./certificates.ts";
import { lastingRequest, tickingService } from "./lasting_request.ts";
import { withCluster } from "./one_cluster.ts";

/** The first backend is the one that signs. */
function meshWith(backends: readonly string[], expiration: string): JsonObject {
  const dpCert = { rotation: { expiration } };
  return {
    type: "Mesh",
    name: "default",
    mtls: {
      enabledBackend: backends[0]!,
      backends: backends.map((name) => ({ name, type: "builtin", dpCert })),
    },
  };
}

const MESH = "/meshes/default";
const SERVED = "HTTP/1.1 200 OK";

const settings = [
  { name: "one zone", start: startStandalone, xds: "sotw" },
  { name: "two zones", start: startTwoZones, xds: "delta" },
] as const;

for (const { name, start, xds } of settings) {
  Deno.test(`${name}: certificates and CAs change without a failed request`, async (t) => {
    await withCluster(xds, async (cluster) => {
      await rotate(t, await start(cluster, () => {}));
    });
  });
}

async function rotate(t: Deno.TestContext, scene: Scene): Promise<void> {
  const { cluster, home, away, billing } = scene;
  const { policies, vipPort } = cluster;
  const service = await tickingService(billing, away.name);
  const host = await home.client.resolve("billing.mesh");
  await until("answer of billing", async () => {
    const { error } = await home.client.callAt(host, "billing.mesh");
    return error === "" ? true : error;
  });
  const lasting = await lastingRequest({ host, port: vipPort, name: "billing.mesh" });
  const load = new Load(50, () => home.client.callAt(host, "billing.mesh"));
  // An ingress passes TLS on and has no certificate.
  const proxies = cluster.proxies.filter(({ name }) => !name.startsWith("ingress-"));
  const oldCa = await caOf(policies, "default", "ca-1");
  const oldClient = clientOf(oldCa, "default", "frontend");

  await t.step("a shorter lifetime holds at once, and certificates are renewed", async () => {
    const first = await visit(billing.proxy, oldClient);
    equal(first.status, SERVED);
    await policies.put(MESH, meshWith(["ca-1"], "5s"));
    for (let renewals = 0; renewals < 2; renewals++) {
      const before = await Promise.all(proxies.map(serialsOf));
      await until("new certificates", async () => {
        const after = await Promise.all(proxies.map(serialsOf));
        return after.every((serials, i) => serials !== before[i]) ||
          `serials were ${before.join(", ")}, are ${after.join(", ")}`;
      });
    }
    const renewed = await visit(billing.proxy, oldClient);
    notEqual(renewed.certificate?.serialNumber, first.certificate?.serialNumber);
    const livesMs = Date.parse(renewed.certificate!.validTo) - Date.now();
    ok(livesMs <= 5_000, `the certificate lives for another ${livesMs} ms`);
    equal(renewed.status, SERVED);
  });

  let newCa: KeyPair | null = null;
  await t.step("a second backend takes over; both roots are trusted", async () => {
    await policies.put(MESH, meshWith(["ca-2", "ca-1"], "1h"));
    await until("the new CA", async () => {
      const cert = await policies.find(`${MESH}/secrets/default.ca-builtin-cert-ca-2`);
      return cert !== null || "its secret is not there";
    });
    newCa = await caOf(policies, "default", "ca-2");
    const newClient = clientOf(newCa, "default", "frontend");
    await until("proxies that trust the new root", () => served(proxies, newClient));
    await until("certificates of the new CA", () => signedBy(proxies, newClient, newCa!));
    equal(await served(proxies, oldClient), true);
  });

  await t.step("the first backend is removed: its certificates open nothing", async () => {
    await policies.put(MESH, meshWith(["ca-2"], "1h"));
    await until("refusal of the old CA's certificates", async () => {
      const visits = await Promise.all(proxies.map((proxy) => visit(proxy, oldClient)));
      return visits.every(({ status }) => status === "") || "they are still let in";
    });
    equal(await served(proxies, clientOf(newCa!, "default", "frontend")), true);
  });

  const ticks = lasting.ticks;
  await until("further tick", () => lasting.ticks > ticks || lasting.ended || "silence");
  await load.stop();
  equal(load.failures[0]?.reply.error, undefined, `of ${load.outcomes.length} requests`);
  equal(lasting.ended, "");
  console.log(`  0 of ${load.outcomes.length} failed, ${lasting.ticks} ticks on one connection`);
  await lasting.close();
  await service.shutdown();
}

async function served(proxies: readonly Proxy[], client: KeyPair): Promise<true | string> {
  const visits = await Promise.all(proxies.map((proxy) => visit(proxy, client)));
  const refusing = visits.findIndex(({ status }) => status !== SERVED);
  return refusing < 0 || `${proxies[refusing]?.name} says "${visits[refusing]?.status}"`;
}

async function signedBy(
  proxies: readonly Proxy[],
  client: KeyPair,
  ca: KeyPair,
): Promise<true | string> {
  const visits = await Promise.all(proxies.map((proxy) => visit(proxy, client)));
  const other = visits.findIndex(({ certificate }) => !isSignedBy(certificate, ca));
  return other < 0 || `${proxies[other]?.name} has another's`;
}
