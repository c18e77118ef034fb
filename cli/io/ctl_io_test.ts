import assert from "node:assert/strict";
import { join } from "node:path";
import { KINDS } from "../../core/kinds.ts";
import { CommandError } from "../output.ts";
import { denoCtlIo } from "./ctl_io.ts";

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = Deno.env.get("URSA_CONFIG_DIR");
  Deno.env.set("URSA_CONFIG_DIR", join(folder, "config"));
  try {
    await use(folder);
  } finally {
    if (before === undefined) Deno.env.delete("URSA_CONFIG_DIR");
    else Deno.env.set("URSA_CONFIG_DIR", before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("denoCtlIo() keeps contexts in URSA_CONFIG_DIR, for the owner alone", () =>
  inFolder(async (folder) => {
    const { contexts } = denoCtlIo({ kinds: KINDS, version: "0" });
    assert.equal(contexts.path, join(folder, "config", "config"));
    assert.equal(await contexts.read(), undefined);
    await contexts.write("contexts: []\n");
    assert.equal(await contexts.read(), "contexts: []\n");
    assert.equal(((await Deno.stat(contexts.path)).mode ?? 0) & 0o077, 0);
  }));

Deno.test("denoCtlIo() says which file it cannot read", () =>
  inFolder(async (folder) => {
    const { readFile } = denoCtlIo({ kinds: KINDS, version: "0" });
    await assert.rejects(
      readFile(join(folder, "none.yaml")),
      (error: unknown) => error instanceof CommandError && error.message.includes("none.yaml"),
    );
  }));
