// SZ: a zone that is slow, or does not listen at all, is nobody else's problem.

import assert from "node:assert/strict";
import { usageOf } from "../../bench/harness.ts";
import type { ControlPlane, Zone } from "../../cli/demo/cluster.ts";
import { allowAll } from "../../cli/demo/resources.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { lasting, untilConnected, untilPresence } from "./federation.ts";
import { p99, type Scenario, seconds } from "./scenario.ts";

const LATE_MS = 10_000;
const EDITS = 40;
/** Two measurements of milliseconds on a machine that does other things differ by more than 10 %. */
const NOISE_MS = 100;
/** Half of the heap that these processes may have: garbage waits until somebody looks for it. */
const MEMORY_GROWTH_KB_MAX = 48_000;

const late: Scenario = {
  ids: ["SZ-1"],
  async run({ global, east, west, bounds }) {
    const base = await editTimes(global, west.zone, "before");
    const rssBefore = (await usageOf(global.pid)).rssKb;
    east.link.slow({ delayMs: LATE_MS }, ["up"]);
    const slow = await editTimes(global, west.zone, "late");
    const grownKb = (await usageOf(global.pid)).rssKb - rssBefore;
    east.link.heal();
    const limitMs = p99(base) * 1.1 + NOISE_MS;
    assert.ok(grownKb <= MEMORY_GROWTH_KB_MAX, `global's memory grew by ${grownKb} KB`);
    await remove(global);
    return [
      `an edit is in the other zone after p99 ${seconds(p99(base))}, ` +
      `with a zone that answers ${seconds(LATE_MS)} late ` +
      `${bounds.atMost(p99(slow), limitMs, "p99")}, memory of global ${kilobytes(grownKb)}`,
    ];
  },
};

const PATH = "/meshes/default/traffic-permissions/slow";

/** How long each of some edits takes to be in a zone. */
async function editTimes(global: ControlPlane, zone: Zone, round: string): Promise<number[]> {
  const times: number[] = [];
  for (let number = 0; number < EDITS; number++) {
    const mark = `${round}-${number}`;
    await edit(global, mark);
    times.push(
      await until(`${mark} in ${zone.name}`, async () => {
        return JSON.stringify(await zone.rest.get("/traffic-permissions")).includes(`"${mark}"`) ||
          "not there";
      }),
    );
  }
  return times;
}

async function edit({ rest }: ControlPlane, mark: string, padding = ""): Promise<void> {
  const match = { "kuma.io/service": "nobodys", mark, ...(padding && { padding }) };
  await rest.put(PATH, { ...allowAll("default"), name: "slow", destinations: [{ match }] });
}

async function remove({ rest }: ControlPlane): Promise<void> {
  await rest.delete(PATH);
}

const SEND_TIMEOUT_MS = 60_000;
/** Each as large as a value may be. */
const LARGE = "x".repeat(60_000);
const EDIT_EVERY_MS = 10;
const WARM_UP_EDITS = 150;

const deaf: Scenario = {
  ids: ["SZ-4"],
  async run({ global, west, bounds }) {
    let edits = 0;
    const write = async () => {
      await edit(global, `deaf-${edits++}`, LARGE);
      return (await usageOf(global.pid)).rssKb;
    };
    // A heap grows to what it is allowed before anybody looks for garbage.
    let settledKb = 0;
    while (edits < WARM_UP_EDITS) settledKb = Math.max(settledKb, await write());
    const untilMs = performance.now() + lasting(10, { secondsInTests: 0 });
    west.link.hold(["down"]);
    const noticed = untilPresence(global, "west", "offline");
    let offlineMs: number | null = null;
    void noticed.then((ms) => offlineMs = ms, () => {});
    let mostKb = 0;
    while (offlineMs === null || performance.now() < untilMs) {
      mostKb = Math.max(mostKb, await write());
      await pause(EDIT_EVERY_MS);
      if (performance.now() > untilMs + SEND_TIMEOUT_MS) break;
    }
    const grownKb = mostKb - settledKb;
    const writtenKb = (edits - WARM_UP_EDITS) * LARGE.length / 1_000;
    const limitKb = Math.max(MEMORY_GROWTH_KB_MAX, writtenKb / 4);
    assert.ok(grownKb <= limitKb, `${grownKb} KB after ${writtenKb} KB were written`);
    west.link.heal();
    await untilConnected(west.zone, true);
    await remove(global);
    return [
      `${bounds.atMost(await noticed, SEND_TIMEOUT_MS, "shown as offline")}, ` +
      `${kilobytes(writtenKb)} of edits meanwhile, ` +
      `memory of global ${kilobytes(grownKb)}`,
    ];
  },
};

function kilobytes(kb: number): string {
  return `${kb < 0 ? "−" : "+"}${(Math.abs(kb) / 1_024).toFixed(1)} MiB`;
}

export const SLOW_ZONE: readonly Scenario[] = [late, deaf];
