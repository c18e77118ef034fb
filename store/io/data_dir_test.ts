import assert from "node:assert/strict";
import { join } from "node:path";
import { acquireDataDir } from "./data_dir.ts";

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "ursa-data-" });
  try {
    await test(join(folder, "data"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("acquireDataDir() refuses a second owner and names the first", async () => {
  await withFolder(async (folder) => {
    const first = await acquireDataDir(folder);
    await assert.rejects(acquireDataDir(folder), {
      name: "UnavailableError",
      message: `Data folder "${folder}" is in use by process ${Deno.pid}; ` +
        "stop it, or name another folder with --data",
    });
    first.release();
    (await acquireDataDir(folder)).release();
  });
});

Deno.test("acquireDataDir() takes over what a dead process left", async () => {
  await withFolder(async (folder) => {
    const code = `import { acquireDataDir } from ${
      JSON.stringify(import.meta.resolve("./data_dir.ts"))
    };
      await acquireDataDir(${JSON.stringify(folder)});
      console.log("taken");
      await new Promise((resolve) => setTimeout(resolve, 60_000));`;
    const script = `${folder}.ts`;
    await Deno.writeTextFile(script, code);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-config", `--allow-read=${folder}`, `--allow-write=${folder}`, script],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    assert.match(new TextDecoder().decode((await reader.read()).value), /taken/);
    await assert.rejects(acquireDataDir(folder), new RegExp(`in use by process ${child.pid};`));
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    (await acquireDataDir(folder)).release();
  });
});

Deno.test("acquireDataDir() says which folder cannot be made, and why", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(folder, "a file");
    await assert.rejects(acquireDataDir(folder), /Cannot use data folder ".*data":/);
  });
});
