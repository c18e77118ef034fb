// A test against a real peer, and the row of docs/compatibility.md that its outcome makes.

import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { Cluster } from "../../cli/demo/cluster.ts";
import type { Child } from "../../cli/demo/process.ts";
import { PROJECT } from "../e2e/one_cluster.ts";
import { KUMA_BIN } from "./kuma.ts";

/** What a run tells: one line of JSON for each test in the file that `URSA_INTEROP_RESULTS` names. */
export interface Row {
  readonly peer: "kumactl" | "kuma-dp" | "kuma-cp";
  /** What works, in the words of a user: "apply, get and delete of every type". */
  readonly feature: string;
  /** File of the test, from the project's folder. */
  readonly test: string;
  readonly passed: boolean;
}

/** Where a test puts what it starts: all of it ends with the test, also with a failed one. */
export interface Bench {
  /** Folder for files and logs; removed after a success. */
  readonly dir: string;
  readonly envoy: string;
  /** Ursa's side. */
  readonly cluster: Cluster;
  /** Ends `what` with the test; the last one first. */
  keep<What extends { stop(): Promise<void> } | Child>(what: What): What;
}

/** Registers a test; ignored when there are no binaries. `module`: `import.meta.url`. */
export function interop(
  module: string,
  row: Pick<Row, "peer" | "feature">,
  run: (bench: Bench) => Promise<void>,
): void {
  const test = decodeURIComponent(new URL(module).pathname).slice(PROJECT.length + 1);
  Deno.test({
    name: `${row.peer}: ${row.feature}`,
    ignore: KUMA_BIN === null,
    async fn() {
      let passed = false;
      try {
        await withBench(run);
        passed = true;
      } finally {
        await report({ ...row, test, passed });
      }
    },
  });
}

async function withBench(run: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = `${PROJECT}/.ursa/interop/${crypto.randomUUID().slice(0, 8)}`;
  const envoy = await findEnvoy({ cacheDir: `${PROJECT}/.ursa/cache/envoy`, log: console.log });
  // Tests of tokens ask for them: Kuma's zones have none, and most tests are about something else.
  const cluster = new Cluster({ dir, project: PROJECT, envoy, auth: "none" });
  const kept: { stop(): Promise<void> }[] = [cluster];
  try {
    await run({
      dir,
      envoy,
      cluster,
      keep(what) {
        kept.push(what);
        return what;
      },
    });
  } catch (error) {
    console.error(`Logs are in ${dir}`);
    throw error;
  } finally {
    for (const what of kept.toReversed()) await what.stop();
  }
  await Deno.remove(dir, { recursive: true });
}

async function report(row: Row): Promise<void> {
  const file = Deno.env.get("URSA_INTEROP_RESULTS");
  if (file) await Deno.writeTextFile(file, `${JSON.stringify(row)}\n`, { append: true });
}
