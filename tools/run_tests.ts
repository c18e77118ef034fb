// Runs the tests: those of the folders side by side, then those that start processes, one file at a time.
// Arguments are handed to `deno test`, files and folders among them. Ends with `N passed, N failed`.

import { join } from "node:path";
import { findEnvoy } from "../dataplane/io/envoy_binary.ts";
import { ROOT, sourceFiles } from "./module_graph.ts";

/** Need binaries that only `deno task interop` has. */
const ELSEWHERE = /^tests\/interop\//;
/** They measure, kill and listen: two at once would disturb each other. */
const ALONE = /^tests\/|\/io\//;

const chosen = Deno.args.filter((argument) => !argument.startsWith("-"));
const options = Deno.args.filter((argument) => argument.startsWith("-"));
const tests = (await sourceFiles()).filter((file) => file.endsWith("_test.ts")).filter(isChosen);
const total = { passed: 0, failed: 0 };

const env = await envoyVariable();
await run(tests.filter((file) => !ALONE.test(file)), ["--parallel"]);
await run(tests.filter((file) => ALONE.test(file)), []);

console.log(`\n${total.passed} passed, ${total.failed} failed`);
if (total.failed > 0 || total.passed === 0) Deno.exit(1);

function isChosen(file: string): boolean {
  return !ELSEWHERE.test(file) && isNamed(file);
}

function isNamed(file: string): boolean {
  return chosen.length === 0 ||
    chosen.some((path) => file.startsWith(path.replace(/^\.\//, "").replace(/\/?$/, "")));
}

/** Installed once and beforehand, so that no test waits for a download, or shares it with another. */
async function envoyVariable(): Promise<Record<string, string>> {
  const cacheDir = join(ROOT, ".ursa", "cache", "envoy");
  try {
    return { URSA_ENVOY: await findEnvoy({ cacheDir, log: console.error }) };
  } catch (error) {
    console.error(`${(error as Error).message}\nTests that need Envoy will fail.`);
    return {};
  }
}

async function run(files: readonly string[], how: readonly string[]): Promise<void> {
  if (files.length === 0) return;
  const child = new Deno.Command(Deno.execPath(), {
    // Types are `deno check`'s concern: one mistake in them must not hide what the tests say.
    args: [
      "test",
      "--no-check",
      "-P=test",
      "--preload=tests/fixed_seed.ts",
      ...how,
      ...options,
      ...files,
    ],
    env,
    stdout: "piped",
  }).spawn();
  let end = "";
  for await (const chunk of child.stdout) {
    writeAll(chunk);
    end = (end + new TextDecoder().decode(chunk)).slice(-4_000);
  }
  const { success } = await child.status;
  // deno-lint-ignore no-control-regex
  const plain = end.replace(/\u001b\[[0-9;]*m/g, "");
  const summary = /\| (\d+) passed.*\| (\d+) failed/.exec(plain);
  total.passed += Number(summary?.[1] ?? 0);
  // Without a summary nothing ran to its end: a type error, or a crash of the runner.
  total.failed += success ? 0 : Math.max(1, Number(summary?.[2] ?? 1));
}

function writeAll(bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += Deno.stdout.writeSync(bytes.subarray(written));
}
