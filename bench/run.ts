// deno task bench [SCENARIO…]: measures, and prints the figures beside Kuma's and beside the aims.

import { type Figure, joining, mutualTls, type Options, standalone, zones } from "./scenarios.ts";
import { median } from "./harness.ts";

const SCENARIOS: Readonly<
  Record<string, (options: Options, report: (f: Figure) => void) => Promise<void>>
> = {
  standalone,
  mtls: mutualTls,
  zones,
  "join-300": joining(300, false),
  "join-300-mtls": joining(300, true),
  "join-1000": joining(1_000, false),
  "join-1000-mtls": joining(1_000, true),
};

/** Kuma 2.13.10 on two cores, and what Ursa must reach there. */
const BESIDE: Readonly<Record<string, { readonly kuma: string; readonly must: string }>> = {
  "new proxy": { kuma: "1.1 s", must: "≤ 20 ms p50, 50 ms max" },
  "policy edit": { kuma: "1.76 / 1.88 s", must: "≤ 10 / 30 ms" },
  "permission edit, mTLS": { kuma: "1.76 / 1.88 s", must: "≤ 10 / 30 ms" },
  "policy edit at global": { kuma: "2.35 / 2.54 s", must: "≤ 150 ms" },
  "service of another zone": { kuma: "4.8 – 6.3 s", must: "≤ 100 ms" },
  "100 join": { kuma: "7.8 s", must: "" },
  "300 join": { kuma: "18.9 s", must: "" },
  "300 join, mTLS": { kuma: "32.5 s", must: "" },
  "1000 join": { kuma: "60 – 67 s", must: "≤ 3.5 s" },
  "1000 join, mTLS": { kuma: "≈ 108 s", must: "≤ 4 s" },
  "policy edit, 300": { kuma: "1.78 / 2.00 s", must: "" },
  "policy edit, 1000": { kuma: "5.7 / 7.3 s", must: "≤ 80 / 200 ms" },
  "policy edit, 1000, CPU": { kuma: "11.4 s", must: "≤ 0.2 s" },
  "idle CPU": { kuma: "6.6 %", must: "≤ 0.5 % (at 1 000)" },
  "memory per proxy": { kuma: "690 KB", must: "≤ 100 KB" },
  "base memory": { kuma: "97 MB", must: "≤ 100 MB" },
};

function flag(name: string, fallback: string): string {
  const found = Deno.args.find((arg) => arg.startsWith(`--${name}=`));
  return found?.slice(name.length + 3) ?? fallback;
}

const names = Deno.args.filter((arg) => !arg.startsWith("--"));
const unknown = names.find((name) => !(name in SCENARIOS));
if (unknown) {
  console.error(`No scenario ${unknown}; there are: ${Object.keys(SCENARIOS).join(", ")}`);
  Deno.exit(2);
}
const chosen = names.length > 0 ? names : Object.keys(SCENARIOS);
const options: Options = {
  dir: `.ursa/bench-${Deno.pid}`,
  store: flag("store", "kv"),
  proxies: Number(flag("proxies", "100")),
  repeat: Number(flag("repeat", "15")),
  idleMs: Number(flag("idle-seconds", "60")) * 1_000,
};

await Deno.mkdir(options.dir, { recursive: true });
const figures: Figure[] = [];
let nacks = 0;
const failed: string[] = [];
for (const name of chosen) {
  console.error(`— ${name}   (load average ${Deno.loadavg()[0]!.toFixed(1)})`);
  try {
    await SCENARIOS[name]!(options, (figure) => {
      if (figure.key === "NACKs") nacks += figure.values[0]!;
      else {
        figures.push(figure);
        console.error(`  ${figure.key}: ${shown(figure)}`);
      }
    });
  } catch (error) {
    failed.push(name);
    console.error(`  failed: ${error instanceof Error ? error.stack : error}`);
  }
}

console.log(`\n| what | Ursa: p50 / max | Kuma 2.13.10 | aim |\n|---|---|---|---|`);
for (const figure of figures) {
  const { kuma = "", must = "" } = BESIDE[figure.key] ?? {};
  console.log(`| ${figure.key} | ${shown(figure)} | ${kuma} | ${must} |`);
}
console.log(`\nNACKs: ${nacks}`);
if (names.length === 0 && failed.length === 0) await remember();
await Deno.remove(options.dir, { recursive: true });
if (nacks > 0 || failed.length > 0) Deno.exitCode = 1;

function shown({ values, unit }: Figure): string {
  const digits = unit === "CPU-s" || unit === "%" ? 2 : 0;
  const number = (value: number) => value.toFixed(digits);
  return values.length === 1
    ? `${number(values[0]!)} ${unit}`
    : `${number(median(values))} / ${number(Math.max(...values))} ${unit}`;
}

/** One line a run, so that a change of a figure has a date. */
async function remember(): Promise<void> {
  const line = {
    at: new Date().toISOString(),
    store: options.store,
    nacks,
    figures: Object.fromEntries(
      figures.map(({ key, values }) => [key, {
        p50: Math.round(median(values) * 100) / 100,
        max: Math.round(Math.max(...values) * 100) / 100,
      }]),
    ),
  };
  await Deno.writeTextFile(
    new URL("history.jsonl", import.meta.url),
    `${JSON.stringify(line)}\n`,
    { append: true },
  );
}
