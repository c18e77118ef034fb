// Runs tests/interop against real Kuma binaries, in a network namespace of its own: kuma-cp listens
// on all addresses. `--record` keeps what worked, and shows it in docs/compatibility.md.

import { join } from "node:path";
import type { Row } from "../tests/interop/interop.ts";
import { ROOT } from "./module_graph.ts";
import { peersTable, type Result, withRun } from "./peers_table.ts";

const INSIDE = "URSA_INTEROP_NAMESPACE";
const BINARIES = ["kumactl", "kuma-dp", "kuma-cp"] as const;

const folder = Deno.env.get("URSA_KUMA_BIN");
if (!folder) {
  console.log(
    "interop: SKIPPED, nothing was tested. Set URSA_KUMA_BIN to a folder with kumactl, kuma-dp " +
      "and kuma-cp of Kuma 2.13.10.",
  );
  Deno.exit(0);
}
for (const name of BINARIES) await mustBeThere(`${folder}/${name}`);
Deno.exit(Deno.env.get(INSIDE) ? await runTests(folder) : await enterNamespace());

async function mustBeThere(file: string): Promise<void> {
  try {
    if ((await Deno.stat(file)).isFile) return;
  } catch {
    // Told below.
  }
  console.error(`interop: ${file} is missing; URSA_KUMA_BIN must hold ${BINARIES.join(", ")}`);
  Deno.exit(1);
}

/** The same command in a namespace whose only interface is loopback. */
async function enterNamespace(): Promise<number> {
  const again = [Deno.execPath(), "run", "-q", "-P=test", import.meta.filename!, ...Deno.args];
  try {
    return (await new Deno.Command("unshare", {
      args: [
        ...["--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"],
        ...again,
      ],
      env: { [INSIDE]: "yes" },
    }).spawn().status).code;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error("interop: needs `unshare` (util-linux) and `ip` (iproute2)");
    return 1;
  }
}

async function runTests(kuma: string): Promise<number> {
  const options = Deno.args.filter((argument) => argument !== "--record");
  const chosen = options.some((argument) => !argument.startsWith("-"));
  const report = await Deno.makeTempFile();
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "-P=test", ...options, ...chosen ? [] : ["tests/interop/"]],
    env: { URSA_INTEROP_RESULTS: report },
  }).spawn().status;
  const run = { ...await versions(kuma), day: new Date().toISOString().slice(0, 10) };
  const results = (await readRows(report)).map((row): Result => ({ ...row, ...run }));
  await Deno.remove(report);
  const passed = results.filter((result) => result.passed).length;
  console.log(
    `\ninterop: ${passed} of ${results.length} features work with Kuma ${run.kuma} and Envoy ${run.envoy}`,
  );
  const whole = !chosen && !options.some((option) => option.startsWith("--filter"));
  if (Deno.args.includes("--record")) await record(results, whole);
  return code;
}

async function readRows(file: string): Promise<readonly Row[]> {
  const text = await Deno.readTextFile(file);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

async function versions(kuma: string): Promise<{ readonly kuma: string; readonly envoy: string }> {
  const said = await firstOutput(`${kuma}/kumactl`, ["version", "--no-config"]);
  const envoy = await firstOutput(Deno.env.get("URSA_ENVOY") ?? "envoy", ["--version"]);
  return {
    kuma: /Kuma:? (\S+)/.exec(said)?.[1] ?? "unknown",
    envoy: /\/(\d+\.\d+\.\d+)[^/]*\//.exec(envoy)?.[1] ?? "unknown",
  };
}

async function firstOutput(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(command, { args: [...args], stderr: "null" }).output();
  return new TextDecoder().decode(stdout);
}

async function record(run: readonly Result[], whole: boolean): Promise<void> {
  const kept = join(ROOT, "tests", "interop", "results.json");
  const results = withRun(JSON.parse(await Deno.readTextFile(kept)), run, whole);
  await Deno.writeTextFile(kept, `${JSON.stringify(results, null, 2)}\n`);
  const file = join(ROOT, "docs", "compatibility.md");
  await Deno.writeTextFile(file, peersTable(await Deno.readTextFile(file), results));
  console.log("interop: kept in tests/interop/results.json, shown in docs/compatibility.md");
}
