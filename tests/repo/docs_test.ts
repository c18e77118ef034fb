import assert from "node:assert/strict";
import { dirname } from "node:path";
import { ROOT } from "../../tools/module_graph.ts";
import { read, textFiles } from "./files.ts";

/** A line of a fenced block marked `console test`: `$ command`, then lines of its output. */
interface Example {
  readonly where: string;
  readonly command: string;
  /** `…` stands for anything. */
  readonly output: readonly string[];
}

function examplesIn(file: string, text: string): Example[] {
  const blocks = [...text.matchAll(/^```console test\n(.*?)^```$/gms)];
  return blocks.flatMap(([, body]) =>
    body!.split(/^\$ /m).slice(1).map((part) => {
      const [command, ...output] = part.replace(/\\\n\s*/g, "").trimEnd().split("\n");
      return { where: file, command: command!, output };
    })
  );
}

for (const file of await textFiles()) {
  if (!file.endsWith(".md")) continue;
  for (const { where, command, output } of examplesIn(file, await read(file))) {
    Deno.test(`${where}: ${command}`, async () => {
      const path = `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`;
      const done = await new Deno.Command("bash", {
        args: ["-euo", "pipefail", "-c", command],
        cwd: ROOT,
        env: { PATH: path, NO_COLOR: "1" },
        stdin: "null",
      }).output();
      const said = new TextDecoder().decode(done.stdout);
      assert.equal(done.code, 0, `${said}\n${new TextDecoder().decode(done.stderr)}`);
      for (const line of output) assert.match(said, patternOf(line));
    });
  }
}

function patternOf(line: string): RegExp {
  const parts = line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "m");
}

Deno.test("links between files of the repository lead somewhere", async () => {
  const files = new Set(await textFiles());
  const dead: string[] = [];
  for (const file of files) {
    if (!file.endsWith(".md")) continue;
    for (const [, target] of (await read(file)).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      const path = new URL(target!, `file:///${file}`).pathname.slice(1);
      const isFolder = [...files].some((it) => it.startsWith(`${path.replace(/\/$/, "")}/`));
      if (!files.has(path) && !isFolder) dead.push(`${file}: ${target}`);
    }
  }
  assert.deepEqual(dead, []);
});

Deno.test("examplesIn() finds commands with their output, and joins continued lines", () => {
  const text = "```console test\n$ a \\\n    b\nout …\n$ c\n```\n```console\n$ not this\n```\n";
  assert.deepEqual(examplesIn("x.md", text), [
    { where: "x.md", command: "a b", output: ["out …"] },
    { where: "x.md", command: "c", output: [] },
  ]);
});
