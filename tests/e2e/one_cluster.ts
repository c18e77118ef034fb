// A cluster for the length of one test: whatever happens, none of its processes outlives it.

import { fileURLToPath } from "node:url";
import { Cluster } from "../../cli/demo/cluster.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";

export const PROJECT = fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");

export async function withCluster(
  xds: "delta" | "sotw",
  run: (cluster: Cluster) => Promise<void>,
  auth: "token" | "none" = "token",
): Promise<void> {
  const dir = `${PROJECT}/.ursa/e2e/${crypto.randomUUID().slice(0, 8)}`;
  const envoy = await findEnvoy({ cacheDir: `${PROJECT}/.ursa/cache/envoy`, log: console.log });
  const cluster = new Cluster({ dir, project: PROJECT, envoy, xds, auth });
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
  // Only after a success: the logs of a failed run are what one wants to read.
  await Deno.remove(dir, { recursive: true });
}

/** What a process logs from now on. */
export async function logFromNow(
  { logFile }: { readonly logFile: string },
): Promise<() => Promise<string>> {
  const { length } = await Deno.readTextFile(logFile);
  return async () => (await Deno.readTextFile(logFile)).slice(length);
}
