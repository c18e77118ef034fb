// Runs tests/interop against real Kuma binaries, in a network namespace of its own: kuma-cp listens
// on all addresses. `--record` writes what worked into docs/compatibility.md.

import { join } from "node:path";
import type { Row } from "../tests/interop/interop.ts";
import { ROOT } from "./module_graph.ts";
import { peersTable } from "./peers_table.ts";

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
  const isRecorded = Deno.args.includes("--record");
  const options = Deno.args.filter((argument) => argument !== "--record");
  const chosen = options.some((argument) => !argument.startsWith("-"));
  if (isRecorded && (chosen || options.some((option) => option.startsWith("--filter")))) {
    console.error("interop: --record writes down a whole run; leave out what chooses tests");
    return 1;
  }
  const results = await Deno.makeTempFile();
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-check", "-P=test", ...options, ...chosen ? [] : ["tests/interop/"]],
    env: { URSA_INTEROP_RESULTS: results },
  }).spawn().status;
  const rows = await readRows(results);
  const passed = rows.filter((row) => row.passed).length;
  console.log(`\ninterop: ${passed} of ${rows.length} features work with ${await versions(kuma)}`);
  if (isRecorded) await record(rows, await versions(kuma));
  await Deno.remove(results);
  return code;
}

async function readRows(file: string): Promise<readonly Row[]> {
  const text = await Deno.readTextFile(file);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

async function versions(kuma: string): Promise<string> {
  const { stdout } = await new Deno.Command(`${kuma}/kumactl`, {
    args: ["version", "--no-config"],
    stderr: "null",
  }).output();
  const version = /Kuma:? (\S+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? "unknown";
  const envoy = Deno.env.get("URSA_ENVOY") ?? "envoy";
  const said = await new Deno.Command(envoy, { args: ["--version"] }).output();
  const build = /\/(\d+\.\d+\.\d+)[^/]*\//.exec(new TextDecoder().decode(said.stdout))?.[1];
  return `Kuma ${version}${build ? ` and Envoy ${build}` : ""}`;
}

async function record(rows: readonly Row[], peers: string): Promise<void> {
  const file = join(ROOT, "docs", "compatibility.md");
  const day = new Date().toISOString().slice(0, 10);
  await Deno.writeTextFile(file, peersTable(await Deno.readTextFile(file), rows, { day, peers }));
  console.log(`interop: written to docs/compatibility.md`);
}
