import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../tools/module_graph.ts";

/**
 * Embedding runs to its end with the ordinary binary in the place of denort; what it makes starts
 * Deno's own command line rather than ours, so it is not run.
 */
Deno.test("deno task compile embeds the whole program", async () => {
  const folder = await Deno.makeTempDir({ prefix: "ursa-compile-" });
  try {
    const output = join(folder, "ursa");
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", "compile", output],
      cwd: ROOT,
      env: { DENORT_BIN: Deno.execPath(), NO_COLOR: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.ok(new TextDecoder().decode(stdout).includes(`Wrote ${output}`));
    assert.ok((await Deno.stat(output)).size > 50_000_000);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("deno task compile says what is missing", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "-q", "compile", join(ROOT, ".ursa", "never-written")],
    cwd: ROOT,
    env: { DENORT_BIN: "/nowhere/denort", NO_COLOR: "1" },
  }).output();
  assert.ok(!success);
  assert.match(new TextDecoder().decode(stderr), /denort/);
});
