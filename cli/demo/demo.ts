// `ursa demo`: a mesh over two zones on this machine, its checks, and something to play with.

import { Command } from "commander";
import { fileURLToPath } from "node:url";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { CommandError } from "../output.ts";
import { ms } from "./checks/check.ts";
import { type CheckResult, runCheck, TWO_ZONE_CHECKS } from "./checks/mod.ts";
import { Cluster } from "./cluster.ts";
import { DATAPLANE_TEMPLATE } from "./resources.ts";
import { type Scene, startTwoZones } from "./scene.ts";
import { runService } from "./service.ts";

export interface DemoIo {
  readonly line: (text: string) => void;
}

const AFTER_HELP = `
Examples:
  ursa demo            start it, run the checks, and stay until Ctrl-C
  ursa demo --check    end after the checks, with status 0 or 1

Its files lie in .ursa/demo while it runs; they are kept when a check does not hold.`;

export function buildDemo(io: DemoIo): Command {
  const demo = new Command("demo")
    .description("start a mesh over two zones on this machine and check it")
    .option("--check", "end after the checks", false)
    .addHelpText("after", AFTER_HELP)
    .action(({ check }: { readonly check: boolean }) => runDemo({ stay: !check, io }));
  // How a binary without source files starts the demo's own services.
  const service = new Command("service").argument("[words...]")
    .action(async (words: string[]) => await runService(words));
  return demo.addCommand(service, { hidden: true });
}

async function runDemo(
  { stay, io }: { readonly stay: boolean; readonly io: DemoIo },
): Promise<void> {
  const project = Deno.build.standalone
    ? Deno.cwd()
    : fileURLToPath(new URL("../../", import.meta.url)).replace(/\/$/, "");
  const envoy = await findEnvoy({ cacheDir: `${project}/.ursa/cache/envoy`, log: io.line });
  const dir = `${project}/.ursa/demo/${runName()}`;
  const cluster = new Cluster({ dir, project, envoy });
  const interrupted = untilSignal();
  try {
    const results = await Promise.race([play(cluster, io), interrupted.then(() => null)]);
    const failed = results?.filter(({ ok }) => !ok) ?? [];
    if (!results && !stay) throw new CommandError("Interrupted before the checks were done");
    if (results && stay) await interrupted;
    await cluster.stop();
    if (failed.length > 0) {
      throw new CommandError(
        `${failed.length} of ${results?.length} checks do not hold; logs: ${dir}/logs`,
      );
    }
  } catch (error) {
    await cluster.stop();
    throw error instanceof CommandError
      ? error
      : new CommandError(`${(error as Error).message}\nLogs: ${dir}/logs`);
  }
  await Deno.remove(dir, { recursive: true });
}

/** Starts everything, checks it and says how to play with it. */
async function play(cluster: Cluster, { line }: DemoIo): Promise<readonly CheckResult[]> {
  const { vipPort } = cluster;
  line("Starting a global control plane, zones east and west, and services behind Envoy proxies");
  if (vipPort !== 80) {
    line(`Port 80 may not be bound by this user: virtual IPs use port ${vipPort} (--vip-port)`);
  }
  const scene = await startTwoZones(cluster, (text) => line(`  ${text}`));
  line(
    `  http://billing.mesh/ is answered across zones, ${ms(scene.firstAnswerMs)} after the start`,
  );
  line("");
  line("Checks");
  const results: CheckResult[] = [];
  for (const check of TWO_ZONE_CHECKS) {
    const result = await runCheck(check, scene);
    results.push(result);
    line(`  ${result.ok ? "ok    " : "FAILED"} ${result.name}`);
    line(`         ${result.ok ? result.figure : result.detail}`);
  }
  const held = results.filter(({ ok }) => ok).length;
  line(`${held} of ${results.length} checks hold`);
  line("");
  for (const text of await invitation(scene)) line(text);
  return results;
}

/** Commands to paste into another shell. */
async function invitation({ cluster, home }: Scene): Promise<readonly string[]> {
  const { dir, envoy } = cluster.options;
  // A zone that a failed check left without its DNS is still worth looking at.
  const vip = await home.client.resolve("billing.mesh").catch(() => "VIRTUAL-IP");
  const dns = new URL(home.controlPlane.url("dns").replace(/^udp:/, "http:"));
  const port = cluster.vipPort === 80 ? "" : `:${cluster.vipPort}`;
  const file = `${dir}/mine.yaml`;
  await Deno.writeTextFile(file, DATAPLANE_TEMPLATE);
  const address = home.block.address(200);
  const vars = {
    mesh: "default",
    name: "mine",
    service: "mine",
    address,
    port: "8080",
    servicePort: "9080",
    version: "v1",
  };
  return [
    "In another shell:",
    `  export URSA_ADDRESS=${cluster.policies.address}`,
    `  deno task ctl get meshes`,
    `  deno task ctl inspect dataplanes`,
    "From frontend's side:",
    `  dig +short @${dns.hostname} -p ${dns.port} billing.mesh`,
    `  curl --resolve billing.mesh:${cluster.vipPort}:${vip} http://billing.mesh${port}/`,
    "A service of your own in zone east:",
    `  deno task -q ctl generate dataplane-token --tag kuma.io/service=mine --valid-for 24h ` +
    `> ${dir}/mine.token`,
    `  python3 -m http.server --bind ${address} 9080 &`,
    `  URSA_ENVOY=${envoy} deno task dp run --cp-address ${home.controlPlane.url("dp")} ` +
    `--ca-cert-file ${home.controlPlane.caFile} --dataplane-file ${file} ` +
    `--token-file ${dir}/mine.token ` +
    Object.entries(vars).map(([key, value]) => `-v ${key}=${value}`).join(" "),
    `  dig +short @${dns.hostname} -p ${dns.port} mine.mesh   # then curl as above`,
    "Ctrl-C ends everything.",
  ];
}

/** Sorts by time, and two of the same second differ. */
function runName(): string {
  const second = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
  return `${second}-${crypto.randomUUID().slice(0, 4)}`;
}

function untilSignal(): Promise<void> {
  return new Promise((done) => {
    for (const name of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(name, () => done());
  });
}
