import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../tools/module_graph.ts";

const PORTS = ["--api-port", "0", "--dp-port", "0", "--dns-port", "0"];

function command(words: readonly string[]): Deno.Command {
  const [program = "", ...args] = words;
  return new Deno.Command(program === "deno" ? Deno.execPath() : program, {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** The first line on stdout, or everything on stderr when there is none. */
async function firstLine(child: Deno.ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes("\n")) return text.split("\n")[0]!;
  }
  return await new Response(child.stderr).text();
}

Deno.test("a data folder outside .ursa is refused with the command that allows it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "ursa-data-" });
  const args = ["standalone", ...PORTS, "--data", join(folder, "data")];
  try {
    const words = ["deno", "run", "-q", "--no-prompt", "-P=standalone", "main.ts", ...args];
    const { code, stderr } = await command(words).output();
    assert.equal(code, 1);
    const said = new TextDecoder().decode(stderr);
    const wanted = /^ {2}(deno run .*)$/m.exec(said)?.[1];
    assert.ok(wanted, said);

    const child = command(wanted.split(" ")).spawn();
    const stop = setTimeout(() => child.kill("SIGKILL"), 60_000);
    try {
      assert.match(await firstLine(child), /^\{"ready":/);
      const second = await command(wanted.split(" ")).output();
      assert.match(
        new TextDecoder().decode(second.stderr),
        new RegExp(`in use by process ${child.pid}; stop it, or name another folder with --data`),
      );
    } finally {
      clearTimeout(stop);
      child.kill("SIGKILL");
      await Promise.all([child.status, child.stderr.cancel().catch(() => {})]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
