// `deno task fuzz`: throws mutated inputs at one of the fuzzers that stand beside the code.

import { Command, Option } from "commander";
import { textOf } from "./fuzz/campaign.ts";
import { FUZZERS } from "./fuzz/fuzzers.ts";
import { type Order, type Report, WATCHED_HEAD_BYTES } from "./fuzz/worker.ts";

/** An input takes a fraction of a millisecond; one that takes so long never ends. */
const STANDSTILL_MS = 30_000;
const SECONDS = 30;
const OUTCOMES_SHOWN = 12;

interface Options {
  readonly seconds?: number;
  readonly inputs?: number;
  readonly input?: string;
  readonly outcomes?: true;
}

const program = new Command("deno task fuzz")
  .description("Inputs made from a seed, until time or number is over, or a property does not hold")
  .argument("[name]", "which fuzzer; without one they are listed")
  .argument("[seed]", "where to begin", wholeNumber, 1)
  .addOption(new Option("--seconds <n>", `at most so long (${SECONDS} without --inputs)`)
    .argParser(wholeNumber))
  .addOption(new Option("--inputs <n>", "at most so many").argParser(wholeNumber))
  .option("--input <base64>", "this one input alone")
  .option("--outcomes", "all that became of inputs, not only the most frequent")
  .action(fuzz);
await program.parseAsync(["deno", "fuzz", ...Deno.args]);

async function fuzz(name: string | undefined, seed: number, options: Options): Promise<void> {
  if (name === undefined) return await list();
  if (!FUZZERS.has(name)) {
    program.error(`There is no fuzzer ${JSON.stringify(name)}: ${[...FUZZERS.keys()].join(", ")}`);
  }
  const passed = options.input === undefined
    ? await campaign(name, seed, options)
    : await one(name, options.input);
  if (!passed) Deno.exit(1);
}

async function list(): Promise<void> {
  for (const [name, load] of FUZZERS) console.log(`${name.padEnd(8)} ${(await load()).about}`);
}

async function one(name: string, input: string): Promise<boolean> {
  try {
    const fuzzer = await FUZZERS.get(name)!();
    console.log(fuzzer.check(Uint8Array.fromBase64(input)));
    return true;
  } catch (error) {
    console.log(textOf(error));
    return false;
  }
}

async function campaign(name: string, seed: number, options: Options): Promise<boolean> {
  const inputs = options.inputs ?? Infinity;
  const seconds = options.seconds ?? (options.inputs === undefined ? SECONDS : Infinity);
  const watched = new SharedArrayBuffer(WATCHED_HEAD_BYTES + 1024 * 1024);
  const report = await inWorker({ name, seed, inputs, seconds, watched });
  if (report === "stands still") {
    const head = new Int32Array(watched, 0, 2);
    const input = new Uint8Array(watched, WATCHED_HEAD_BYTES, head[1]!).slice();
    console.log(`${name}: input ${head[0]} of seed ${seed} does not end`);
    console.log(again(name, input));
    return false;
  }
  print(name, seed, report, options.outcomes === true);
  return report.failure === null;
}

function inWorker(order: Order): Promise<Report | "stands still"> {
  const worker = new Worker(new URL("./fuzz/worker.ts", import.meta.url), { type: "module" });
  const count = new Int32Array(order.watched, 0, 1);
  const { promise, resolve, reject } = Promise.withResolvers<Report | "stands still">();
  let seen = -1;
  const timer = setInterval(() => {
    const now = Atomics.load(count, 0);
    // Zero: modules are still being loaded. The same as before: also while an input is minimised.
    if (now > 0 && now === seen) resolve("stands still");
    if (now > 0) console.error(`${order.name}: ${now} inputs`);
    seen = now;
  }, STANDSTILL_MS);
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => reject(event.error ?? new Error(event.message));
  worker.postMessage(order);
  return promise.finally(() => {
    clearInterval(timer);
    worker.terminate();
  });
}

function print(name: string, seed: number, report: Report, all: boolean): void {
  const { inputs, seconds, outcomes, slowest, failure } = report;
  const frequent = [...outcomes].sort(([, a], [, b]) => b - a);
  const shown = all ? frequent : frequent.slice(0, OUTCOMES_SHOWN);
  for (const [outcome, count] of shown) console.log(`${String(count).padStart(9)}  ${outcome}`);
  if (shown.length < frequent.length) {
    console.log(`      … and ${frequent.length - shown.length} more`);
  }
  console.log(
    `${name}: seed ${seed}, ${inputs} inputs in ${seconds.toFixed(1)} s ` +
      `(${Math.round(inputs / seconds)}/s), ${outcomes.size} outcomes, ` +
      `the slowest ${slowest.ms.toFixed(1)} ms for ${slowest.input.length} bytes`,
  );
  if (!failure) return;
  console.log(`\n${failure.error}\n\nInput ${inputs}, made as short as it gets:`);
  console.log(JSON.stringify(new TextDecoder().decode(failure.input)));
  console.log(again(name, failure.input));
}

function again(name: string, input: Uint8Array): string {
  return `deno task fuzz ${name} --input '${input.toBase64()}'`;
}

function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  return program.error(`${JSON.stringify(text)} is no whole number`);
}
