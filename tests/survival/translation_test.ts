// The promise that a mesh needs no flat network, between zones with the same private addresses.

import assert from "node:assert/strict";
import { allowAll, meshWithMtls } from "../../cli/demo/resources.ts";
import { until } from "../../cli/demo/until.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { lasting } from "./federation.ts";
import { missingForNamespaces } from "./namespaces.ts";
import {
  ADVERTISED_PORT,
  API_PORT,
  GLOBAL_ADDRESS,
  KDS_PORT,
  PrivateSites,
  type PrivateZone,
} from "./private_sites.ts";

const missing = await missingForNamespaces();
if (missing) {
  console.error(
    `tests/survival/translation_test.ts is IGNORED, and zones behind address translation are NOT ` +
      `TESTED: ${missing}`,
  );
}

const PER_SECOND = 20;
const WATCHED_SECONDS = 6;

Deno.test({
  name: "zones with the same addresses, behind address translation, are one mesh",
  ignore: missing !== null,
  async fn() {
    await withSites(async (sites) => {
      const { east, west } = await sites.start();
      await sites.globalRest("PUT", "/meshes/default", meshWithMtls("default"));
      await sites.globalRest(
        "PUT",
        "/meshes/default/traffic-permissions/everyone",
        allowAll("default"),
      );
      await Promise.all([startZone(sites, east, "orders"), startZone(sites, west, "billing")]);
      await Promise.all([untilAnswered(east, "billing"), untilAnswered(west, "orders")]);

      await noOtherWay(east, west);
      const together = await watch(east, west, WATCHED_SECONDS);
      await sites.killGlobal();
      const alone = await watch(east, west, lasting(5, { secondsInTests: WATCHED_SECONDS }) / 1e3);
      await sites.startGlobal();
      console.log(
        `translation: 0 of ${together} requests failed through two gateways, ` +
          `0 of ${alone} without global; no other way from zone to zone`,
      );
    });
  },
});

async function withSites(run: (sites: PrivateSites) => Promise<void>): Promise<void> {
  const dir = `${PROJECT}/.ursa/survival/${crypto.randomUUID().slice(0, 8)}`;
  const envoy = await findEnvoy({ cacheDir: `${PROJECT}/.ursa/cache/envoy`, log: console.log });
  const sites = new PrivateSites({ dir, envoy });
  try {
    await run(sites);
  } catch (error) {
    console.error(`Logs are in ${dir}`);
    throw error;
  } finally {
    await sites.stop();
  }
  await Deno.remove(dir, { recursive: true });
}

/** Each service is at the address that the other zone's has, and so is each caller. */
async function startZone(sites: PrivateSites, zone: PrivateZone, service: string): Promise<void> {
  await zone.join(await sites.joining(zone.name));
  await Promise.all([
    zone.startIngress(),
    zone.startWorkload(`caller-${zone.name}`, 4),
    zone.startWorkload(service, 5),
  ]);
}

async function untilAnswered(zone: PrivateZone, service: string): Promise<void> {
  await until(`answer of ${service} in ${zone.name}`, async () => {
    const { failed, firstError } = await zone.load(`${service}.mesh`, {
      perSecond: 10,
      seconds: 0.3,
    });
    return failed === 0 || firstError;
  });
}

/** Requests both ways; how many there were, none of which failed. */
async function watch(east: PrivateZone, west: PrivateZone, seconds: number): Promise<number> {
  const how = { perSecond: PER_SECOND, seconds };
  const results = await Promise.all([
    east.load("billing.mesh", how),
    west.load("orders.mesh", how),
  ]);
  let sent = 0;
  for (const [i, by] of [west, east].entries()) {
    const { failed, firstError, byZone, ...result } = results[i]!;
    assert.equal(failed, 0, `${failed} of ${result.sent} failed: ${firstError}`);
    assert.deepEqual(Object.keys(byZone), [by.name]);
    sent += result.sent;
  }
  return sent;
}

/** What a zone may reach is the other's ingress and global's port for zones: nothing else. */
async function noOtherWay(east: PrivateZone, west: PrivateZone): Promise<void> {
  for (const [zone, other] of [[east, west], [west, east]] as const) {
    assert.equal(await zone.dial(other.publicAddress, ADVERTISED_PORT), "connected");
    assert.equal(await zone.dial(GLOBAL_ADDRESS, KDS_PORT), "connected");
    const shut: readonly (readonly [string, number])[] = [
      [GLOBAL_ADDRESS, API_PORT],
      // The other's control plane, proxies and services, by its gateway.
      ...[API_PORT, 5_678, 8_080, 9_080, 10_001].map((port) =>
        [other.publicAddress, port] as const
      ),
    ];
    const found = await Promise.all(shut.map(([host, port]) => zone.dial(host, port)));
    assert.ok(found.every((how) => how !== "connected"), `${zone.name}: ${found}`);
  }
}
