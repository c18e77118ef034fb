// A shell whose `ursa ctl` talks to a control plane without actors.

import { serveApi } from "../../api/io/server.ts";
import { type PlaneOptions, TEST_KINDS, type TestPlane, testPlane } from "../../api/plane_test.ts";
import type { ControlPlane } from "../../api/ports.ts";
import { httpClient } from "../io/http.ts";
import { type CtlIo, runCtl } from "./mod.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Shell {
  readonly plane: TestPlane;
  readonly address: string;
  readonly files: Map<string, string>;
  readonly env: Map<string, string>;
  run(...args: string[]): Promise<Ran>;
}

export const NOW_MS = Date.parse("2026-11-22T12:05:00Z");

/** A shell whose `ursa ctl` talks to a control plane of its own. */
export async function shell(
  use: (shell: Shell) => Promise<void>,
  control: Partial<ControlPlane> = {},
  options: PlaneOptions = {},
): Promise<void> {
  const plane = testPlane(control, options);
  const server = serveApi({ hostname: "127.0.0.1", port: 0 }, plane.ports);
  const address = `http://127.0.0.1:${server.port}`;
  const files = new Map<string, string>();
  const env = new Map([["URSA_ADDRESS", address]]);
  try {
    await use({ plane, address, files, env, run: (...args) => run(args, { env, files }) });
  } finally {
    await server.close();
  }
}

export async function run(
  args: readonly string[],
  { env, files }: {
    readonly env: ReadonlyMap<string, string>;
    readonly files: Map<string, string>;
  },
): Promise<Ran> {
  let [out, err] = ["", ""];
  const io: CtlIo = {
    kinds: TEST_KINDS,
    version: "0.1.0",
    contexts: {
      path: "contexts",
      read: () => Promise.resolve(files.get("contexts")),
      write: (content) => Promise.resolve(void files.set("contexts", content)),
    },
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    env: (name) => env.get(name),
    nowMs: () => NOW_MS,
    readFile: (path) => Promise.resolve(files.get(path) ?? ""),
    readStdin: () => Promise.resolve(files.get("-") ?? ""),
    http: httpClient,
  };
  const code = await runCtl(io, args);
  return { code, out, err };
}
