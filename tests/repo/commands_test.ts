import assert from "node:assert/strict";
import type { Command } from "commander";
import { buildCtl } from "../../cli/ctl/mod.ts";
import { denoCtlIo } from "../../cli/io/ctl_io.ts";
import { everyKind } from "../../cli/kinds.ts";
import { read, textFiles } from "./files.ts";
import config from "../../deno.json" with { type: "json" };

const pages = (await textFiles()).filter((file) => file.endsWith(".md"));

/** Everything that stands between backquotes or in a fenced block. */
function codeIn(text: string): string {
  const blocks = [...text.matchAll(/^```.*?\n(.*?)^```$/gms)].map(([, body]) => body);
  const words = [...text.replaceAll(/^```.*?^```$/gms, "").matchAll(/`([^`]+)`/g)];
  return [...blocks, ...words.map(([, word]) => word)].join("\n");
}

Deno.test("every task that a page names exists", async () => {
  const tasks = new Set([...Object.keys(config.tasks), "NAME"]);
  const unknown: string[] = [];
  for (const page of pages) {
    for (const [, task] of codeIn(await read(page)).matchAll(/deno(?:@\S+)? task (?:-q )?(\w+)/g)) {
      if (!tasks.has(task!)) unknown.push(`${page}: ${task}`);
    }
  }
  assert.deepEqual(unknown, []);
});

Deno.test("every ctl command that a page names exists", async () => {
  const ctl = buildCtl(denoCtlIo({ kinds: everyKind().all(), version: "0" }));
  const unknown: string[] = [];
  for (const page of pages) {
    for (
      const [, words] of codeIn(await read(page)).matchAll(
        /(?:ursa|deno task(?: -q)?) ctl ([^)\n]*)/g,
      )
    ) {
      if (!leadsToAction(ctl, words!)) unknown.push(`${page}: ctl ${words}`);
    }
  }
  assert.deepEqual(unknown, []);
});

/** Follows the words to a command without commands below it; flags of ctl itself may come first. */
function leadsToAction(ctl: Command, words: string): boolean {
  let command = ctl;
  for (const word of words.replace(/^(--\w+ \S+ )+/, "").split(/\s+/)) {
    if (word === "…" || word === "--help") return true;
    const next = command.commands.find((it) => it.name() === word);
    if (!next) return false;
    if (next.commands.length === 0) return true;
    command = next;
  }
  return false;
}
