// `deno task soak`: a day in the simulator, then ten minutes of clients that come and go, for real.

import { Command } from "commander";
import { comingsAndGoings, type Holding } from "./soak/comings_and_goings.ts";
import { lowest, type Point, slopeOf } from "./soak/slope.ts";
import { virtualDay } from "./soak/virtual_day.ts";

interface Options {
  readonly seed: number;
  readonly virtualHours: number;
  readonly minutes: number;
  readonly clients: number;
}

/** Code is compiled before anything is measured. */
const WARM_UP_MINUTES = 1;
/** Of the virtual day: tables that keep the last so many of something fill for hours. */
const FILLING = 0.5;
/** Of the real part: what is left after a collection is the least of so long. */
const STRETCH_MINUTES = 0.5;
/** Growth that is certain and faster than this ends the run as failed. */
const GROWTH_MAX = { perVirtualHourKb: 512, perMinuteKb: 2_048 };

const program = new Command("deno task soak")
  .description("What grows while little happens for long, and while many come and go")
  .option("--seed <n>", "of the virtual day", number, 1)
  .option("--virtual-hours <n>", "in the simulator; 0: not at all", number, 24)
  .option("--minutes <n>", "with a real control plane; 0: not at all", number, 10)
  .option("--clients <n>", "of the real control plane", number, 200)
  .action(soak);
await program.parseAsync(["deno", "soak", ...Deno.args]);

async function soak({ seed, virtualHours, minutes, clients }: Options): Promise<void> {
  const fine = [
    virtualHours > 0 ? await simulated(seed, virtualHours) : true,
    minutes > 0 ? await real(minutes, clients) : true,
  ];
  if (fine.includes(false)) Deno.exit(1);
}

async function simulated(seed: number, hours: number): Promise<boolean> {
  const startedAtMs = performance.now();
  const { heap, steps, turns, actors } = await virtualDay(seed, hours, ({ x, y }, count) => {
    console.log(`hour ${x}: heap ${kb(y)} KiB, ${count} actors`);
  });
  const seconds = Math.round((performance.now() - startedAtMs) / 1_000);
  console.log(
    `${hours} virtual hours in ${seconds} s: ${steps} steps, ${turns} turns; actors ` +
      `${actors.start} at the start, ${actors.peak} at most, ${actors.end} when all had left`,
  );
  const late = heap.filter(({ x }) => x > FILLING * hours).map(({ x, y }) => ({ x, y: y / 1_024 }));
  return judge("heap after collection, second half", late, {
    unit: "virtual hour",
    most: GROWTH_MAX.perVirtualHourKb,
  });
}

async function real(minutes: number, clients: number): Promise<boolean> {
  const dir = `.ursa/soak-${Deno.pid}`;
  await Deno.mkdir(dir, { recursive: true });
  let told = 0;
  const result = await comingsAndGoings({
    dir,
    clients,
    ms: minutes * 60_000,
    sampled(atMs, holding) {
      if (atMs < told * 60_000) return;
      told++;
      console.log(`minute ${Math.floor(atMs / 60_000)}: ${textOf(holding)}`);
    },
  });
  const { before, peak, after, joins, responses, errors } = result;
  console.log(`before:  ${textOf(before)}`);
  console.log(`at most: ${textOf(peak)}`);
  console.log(`after:   ${textOf(after)}`);
  console.log(`${joins} joins, ${responses} responses, ${errors.length} errors`);
  for (const error of errors.slice(0, 5)) console.log(`  ${error}`);
  const late = (points: readonly Point[]) => points.filter(({ x }) => x > WARM_UP_MINUTES);
  const heap = lowest(late(result.heap), STRETCH_MINUTES);
  const limit = { unit: "minute", most: GROWTH_MAX.perMinuteKb };
  judge("RSS", late(result.rss), { ...limit, most: Infinity });
  const fine = judge("heap, least of each half minute", heap, limit) && errors.length === 0;
  if (fine) await Deno.remove(dir, { recursive: true });
  return fine;
}

function judge(
  what: string,
  points: readonly Point[],
  { unit, most }: { readonly unit: string; readonly most: number },
): boolean {
  const { per, give } = slopeOf(points);
  const grows = per - give > most;
  const growth = Number.isFinite(give)
    ? `${per.toFixed(0)} ± ${give.toFixed(0)} KiB per ${unit}`
    : "too short a time to say how it grows";
  console.log(`${what}: ${growth}${grows ? ": IT GROWS" : ""}`);
  return !grows;
}

function textOf({ rssKb, heapKb, files, threads, actors, entries }: Holding): string {
  return `RSS ${rssKb} KiB, heap ${heapKb} KiB, ${files} files, ${threads} threads, ` +
    `${actors} actors, ${entries} entries`;
}

function kb(bytes: number): number {
  return Math.round(bytes / 1_024);
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) program.error(`${JSON.stringify(text)} is no number`);
  return value;
}
