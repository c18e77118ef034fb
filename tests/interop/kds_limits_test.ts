// How much passes between Ursa and kuma-cp at once, and what happens beyond.

import assert from "node:assert/strict";
import { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import { interop } from "./interop.ts";
import { KumaCp, Kumactl } from "./kuma.ts";

/** So many are 9.5 MiB; each fits in a request to either API. */
const FIT = 39;
const BYTES = 255_000;

/** Whoever does not check that a message is whole would not see that zeros are missing. */
function secret(n: number) {
  const data = Uint8Array.from({ length: BYTES }, (_, index) => (index * 31 + n) % 251);
  return { type: "GlobalSecret", name: `big-${n}`, data: data.toBase64() };
}

async function write(rest: Rest, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const path = `/global-secrets/big-${n}`;
    // kuma-cp cuts connections now and then while it has much to do.
    await until(`big-${n} written`, () => put(rest, path, secret(n)).catch(String));
  }
}

/** kuma-cp's answer is not Ursa's. */
async function put({ address }: Rest, path: string, body: unknown): Promise<true | string> {
  const response = await fetch(address + path, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return response.ok || text;
}

async function untilThere(rest: Rest, n: number): Promise<void> {
  await until(`big-${n}`, async () => {
    const found = await rest.find<{ data: string }>(`/global-secrets/big-${n}`);
    return found?.data === secret(n).data || "not yet";
  });
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as a zone: 9.5 MiB at once; beyond 10 MiB one type stops, with its name, and no other",
}, async (bench) => {
  const global = await bench.cluster.startGlobal(["--zone-auth", "none"]);
  const kumactl = await Kumactl.of(bench.dir, global.url("api"));
  await write(global.rest, 0, FIT);
  const zone = new KumaCp({
    ...bench,
    name: "east",
    mode: "zone",
    global: { url: global.url("kds"), caFile: global.caFile },
  });
  await bench.keep(zone).start();
  await untilThere(zone.rest, 0);
  await untilThere(zone.rest, FIT - 1);
  await write(global.rest, FIT, FIT + 4);
  await untilThere(zone.rest, FIT + 3);

  // It forgets everything, so all of it would have to go at once.
  await zone.stop();
  await zone.start();
  await until("the mesh", async () => !!await zone.rest.find("/meshes/default") || "not yet");
  await until("the type that stopped", async () => {
    const { zoneInsight } = await global.rest.get<
      { zoneInsight: { ursa?: { rejected?: Record<string, string> } } }
    >("/zones/east/_overview");
    const { GlobalSecret = "", ...others } = zoneInsight.ursa?.rejected ?? {};
    assert.deepEqual(others, {});
    return /1\d{7} bytes, .* at most 10485760 bytes; the largest are big-/.test(GlobalSecret) ||
      GlobalSecret;
  });
  assert.equal(await zone.rest.find("/global-secrets/big-0"), null);
  assert.match(await kumactl.ok(["inspect", "zones"]), /east +Online/);
  for (const n of [FIT, FIT + 1, FIT + 2, FIT + 3]) {
    await kumactl.ok(["delete", "global-secret", `big-${n}`]);
  }
  await untilThere(zone.rest, 0);
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "as global: 9.5 MiB at once, compressed",
}, async (bench) => {
  const global = await bench.keep(new KumaCp({ ...bench, name: "kuma", mode: "global" })).start();
  await write(global.rest, 0, FIT);
  const zone = await bench.cluster.startZone("west", {
    url: global.url("kds"),
    caFile: global.caFile,
  });
  await untilThere(zone.rest, 0);
  await untilThere(zone.rest, FIT - 1);
});
