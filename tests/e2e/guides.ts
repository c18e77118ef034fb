// Guides as people follow them: every block in its shell, with ports of its own.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import { ROOT } from "../../tools/module_graph.ts";

const GUIDES = join(ROOT, "docs", "guides");
/** The ports of control planes that a guide uses without naming them. */
const DEFAULT_PORTS = { API: "5681", DP: "5678", KDS: "5685", DNS: "5653" } as const;
const PATIENCE_MS = 120_000;

interface Step {
  readonly script: string;
  /** In a shell of its own, until the end; the next step waits for its output. */
  readonly background: boolean;
  /** `…` stands for anything. */
  readonly output: readonly string[];
}

/** Blocks `sh guide`, `sh guide background`, each with the `text output` that may follow it. */
export function stepsIn(text: string): readonly Step[] {
  const blocks = text.matchAll(
    /^```sh guide( background)?\n(.*?)^```\n(?:\s*^```text output\n(.*?)^```$)?/gms,
  );
  return [...blocks].map(([, background, script, output]) => ({
    script: script!,
    background: background !== undefined,
    output: output?.trimEnd().split("\n") ?? [],
  }));
}

/** Every number of four or five digits in a guide is a port; here each becomes a free one. */
function freePorts(): (text: string) => string {
  const known = new Map<string, string>();
  const free = (port: string): string => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const found = String(listener.addr.port);
    listener.close();
    // Nobody listens there yet, so it may be handed out again.
    if ([...known.values()].includes(found)) return free(port);
    known.set(port, found);
    return found;
  };
  return (text) =>
    text.replaceAll(/(?<![\d.])\d{4,5}(?![\d.])/g, (port) => known.get(port) ?? free(port));
}

/** The repository by links, with a data folder of its own. */
async function workplace(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "ursa-guide-" });
  for await (const { name } of Deno.readDir(ROOT)) {
    if (![".git", ".ursa"].includes(name)) await Deno.symlink(join(ROOT, name), join(folder, name));
  }
  return folder;
}

/** What a shell has said so far, and whoever waits for more. */
class Output {
  text = "";
  ended = false;
  #heard = Promise.withResolvers<void>();

  async read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) this.#tell(chunk);
    this.ended = true;
    this.#tell("");
  }

  async until(isEnough: () => boolean): Promise<void> {
    while (!this.ended && !isEnough()) await this.#heard.promise;
  }

  #tell(text: string): void {
    this.text += text;
    this.#heard.resolve();
    this.#heard = Promise.withResolvers();
  }
}

interface Shell {
  readonly child: Deno.ChildProcess;
  readonly out: Output;
  readonly err: Output;
  readonly read: Promise<unknown>;
}

/** A process group of its own, so that everything that it starts ends with it. */
function openShell(script: string, cwd: string, env: Record<string, string>): Shell {
  const child = new Deno.Command("setsid", {
    args: ["bash", "-euo", "pipefail", "-c", script],
    cwd,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [out, err] = [new Output(), new Output()];
  return { child, out, err, read: Promise.all([out.read(child.stdout), err.read(child.stderr)]) };
}

async function follow(step: Step, shell: Shell): Promise<void> {
  const missing = () => step.output.filter((line) => !patternOf(line).test(shell.out.text));
  const tooLong = setTimeout(() => kill(shell), PATIENCE_MS);
  if (step.background) await shell.out.until(() => missing().length === 0);
  else await shell.read;
  clearTimeout(tooLong);
  const report = `${step.script}\n${shell.out.text}\n${shell.err.text.slice(-4_000)}`;
  assert.deepEqual(missing(), [], report);
  if (!step.background) assert.equal((await shell.child.status).code, 0, report);
}

function kill({ child }: Shell): void {
  try {
    Deno.kill(-child.pid, "SIGKILL");
  } catch {
    // Ended by itself.
  }
}

function patternOf(line: string): RegExp {
  const parts = line.split("…").map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(parts.join(".*"));
}

function environment(
  { envoy, programs, ports }: {
    readonly envoy: string;
    readonly programs: readonly string[];
    readonly ports: (text: string) => string;
  },
): Record<string, string> {
  const own = Object.entries(DEFAULT_PORTS).map(([name, port]) => [
    `URSA_${name}_PORT`,
    ports(port),
  ]);
  return {
    ...Object.fromEntries(own),
    PATH: [dirname(Deno.execPath()), dirname(envoy), ...programs, Deno.env.get("PATH")].join(":"),
    NO_COLOR: "1",
    URSA_ENVOY: envoy,
    URSA_ADDRESS: `http://127.0.0.1:${ports(DEFAULT_PORTS.API)}`,
    URSA_DP_CP_ADDRESS: `https://127.0.0.1:${ports(DEFAULT_PORTS.DP)}`,
  };
}

/** `programs`: folders with what the guide needs on PATH. */
export async function followGuide(guide: string, programs: readonly string[] = []): Promise<void> {
  const envoy = await findEnvoy({ cacheDir: join(ROOT, ".ursa/cache/envoy"), log: console.error });
  const ports = freePorts();
  const env = environment({ envoy, programs, ports });
  const steps = stepsIn(ports(await Deno.readTextFile(join(GUIDES, guide))));
  const folder = await workplace();
  const shells: Shell[] = [];
  try {
    for (const step of steps) {
      const shell = openShell(step.script, folder, env);
      shells.push(shell);
      await follow(step, shell);
    }
  } finally {
    for (const shell of shells) kill(shell);
    await Promise.all(shells.flatMap(({ child, read }) => [child.status, read]));
    await Deno.remove(folder, { recursive: true });
  }
}
