// The real world of ctl: streams, files, environment, network.

import { dirname, join } from "node:path";
import type { ResourceDescriptor } from "../../core/resource.ts";
import type { ContextStore } from "../contexts.ts";
import type { CtlIo } from "../ctl/io.ts";
import { CommandError } from "../output.ts";
import { demandFiles, isGranted } from "../permissions.ts";
import { httpClient } from "./http.ts";

export function denoCtlIo(
  { kinds, version }: {
    readonly kinds: readonly ResourceDescriptor[];
    readonly version: string;
  },
): CtlIo {
  return {
    kinds,
    version,
    contexts: fileContexts(join(configFolder(), "config")),
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeAll(Deno.stderr, text),
    env: readEnv,
    nowMs: () => Date.now(),
    readFile,
    readStdin: () => new Response(Deno.stdin.readable).text(),
    http: httpClient,
  };
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

/** The home folder for whoever may write there, such as the binary; else the project's own. */
function configFolder(): string {
  const own = readEnv("URSA_CONFIG_DIR");
  if (own !== undefined) return own;
  const home = readEnv("HOME");
  const folder = home === undefined ? undefined : join(home, ".ursa");
  return folder !== undefined && isGranted("write", folder) ? folder : join(".ursa", "ctl");
}

/** A variable that we may not read is one that is not set. */
function readEnv(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}

async function readFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new CommandError(fileText("read", path, error));
  }
}

function fileContexts(path: string): ContextStore {
  return {
    path,
    async read() {
      try {
        return await Deno.readTextFile(path);
      } catch (error) {
        // Without the permission there are no contexts: --address does without them.
        if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
          return undefined;
        }
        throw new CommandError(fileText("read", path, error));
      }
    },
    async write(content) {
      demandFiles({ set: "ctl", read: null, write: [dirname(path)] });
      try {
        await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
        // There may be tokens in it, and the mode counts for a new file alone.
        await Deno.writeTextFile(`${path}.new`, content, { mode: 0o600 });
        await Deno.rename(`${path}.new`, path);
      } catch (error) {
        throw new CommandError(fileText("write", path, error));
      }
    },
  };
}

function fileText(verb: "read" | "write", path: string, error: unknown): string {
  const reason = error instanceof Deno.errors.NotFound
    ? "there is no such file"
    : error instanceof Error
    ? error.message
    : String(error);
  return `Cannot ${verb} ${path}: ${reason}`;
}
