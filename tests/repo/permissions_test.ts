import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../tools/module_graph.ts";
import { read } from "./files.ts";
import config from "../../deno.json" with { type: "json" };

const CONTROL_PLANES = ["global", "remote", "standalone"];
const PROBE = `
const state = (name, ...rest) => Deno.permissions.querySync({ name, ...rest[0] }).state;
console.log(JSON.stringify({
  read: state("read", { path: "/etc/passwd" }),
  write: state("write", { path: "/etc/passwd" }),
  data: state("write", { path: Deno.args[0] }),
  run: state("run"),
  sys: state("sys"),
  ffi: state("ffi"),
  net: state("net"),
  home: Deno.env.get("HOME") ?? null,
  own: Deno.env.get("URSA_PROBE") ?? null,
}));`;

async function probe(set: string): Promise<Record<string, unknown>> {
  const folder = await Deno.makeTempDir({ prefix: "ursa-probe-" });
  try {
    const script = join(folder, "probe.js");
    await Deno.writeTextFile(script, PROBE);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--config", join(ROOT, "deno.json"), `-P=${set}`],
        ...[script, join(ROOT, ".ursa", "x")],
      ],
      env: { URSA_PROBE: "seen" },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.notEqual(text, "", new TextDecoder().decode(stderr));
    return JSON.parse(text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const set of CONTROL_PLANES) {
  Deno.test(`permission set ${set} reaches its data folder, the network and URSA_*`, async () => {
    assert.deepEqual(await probe(set), {
      read: "prompt",
      write: "prompt",
      data: "granted",
      run: "prompt",
      sys: "prompt",
      ffi: "prompt",
      net: "granted",
      home: null,
      own: "seen",
    });
  });
}

for (const [set, run] of [["dp", "granted"], ["demo", "granted"], ["ctl", "prompt"]] as const) {
  Deno.test(`permission set ${set} writes to its data folder alone`, async () => {
    const state = await probe(set);
    assert.equal(state.write, "prompt");
    assert.equal(state.data, "granted");
    assert.equal(state.run, run);
    assert.equal(state.ffi, "prompt");
  });
}

Deno.test("docs/security.md tells every permission set, and every task uses one", async () => {
  const text = await read("docs/security.md");
  for (const set of Object.keys(config.permissions)) assert.ok(text.includes(`\`${set}\``), set);
  for (const [name, { command }] of Object.entries(config.tasks)) {
    for (const [run] of command.matchAll(/deno run[^&]*/g)) assert.match(run, / -P=\w+ /, name);
  }
});
