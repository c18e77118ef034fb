// Kill −9 of a writing process, over and over on one file: `deno run -P=test tests/wire/kill_rounds.ts 1000`.

import assert from "node:assert/strict";
import { join } from "node:path";
import { openKvStore } from "../../store/io/deno_kv.ts";

const WRITERS = 4;

export interface KillFigures {
  readonly rounds: number;
  readonly acknowledged: number;
  /** Durable when the process died before it could say so: allowed, and counted. */
  readonly unsaid: number;
}

/** Throws when an acknowledged write is missing or a resource is half written. */
export async function killRounds(rounds: number): Promise<KillFigures> {
  const folder = await Deno.makeTempDir({ prefix: "ursa-kill-" });
  try {
    const path = join(folder, "store.kv");
    let acknowledged = 0;
    let unsaid = 0;
    for (let round = 0, before = 0; round < rounds; round++) {
      // The acknowledgements to wait for before the kill; the delay adds a point between two.
      const heard = await killAfter(path, {
        acknowledgements: Math.floor(Math.random() * 60),
        extraMs: Math.random() * 5,
      });
      const revision = await check(path, heard);
      acknowledged += heard.size;
      unsaid += revision - before - heard.size;
      before = revision;
    }
    return { rounds, acknowledged, unsaid };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs the writer until its kill; the revisions that it acknowledged, with their writers. */
async function killAfter(
  path: string,
  at: { readonly acknowledgements: number; readonly extraMs: number },
): Promise<Map<number, string>> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-P=test", import.meta.resolve("./store_writer.ts"), path, String(WRITERS)],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const heard = new Map<number, string>();
  let killed = false;
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const [writer, revision] = line.split(" ") as [string, string];
      heard.set(Number(revision), writer);
    }
    if (killed || heard.size < at.acknowledgements) continue;
    killed = true;
    setTimeout(() => child.kill("SIGKILL"), at.extraMs);
  }
  const { signal } = await child.status;
  assert.equal(signal, "SIGKILL", "the writer ended by itself");
  return heard;
}

/** Opens the file as the next process would; answers its revision. */
async function check(path: string, heard: ReadonlyMap<number, string>): Promise<number> {
  const store = await openKvStore(path);
  const last = new Map<string, number>();
  for (const [revision, writer] of heard) {
    last.set(writer, Math.max(revision, last.get(writer) ?? 0));
  }
  for (const [writer, revision] of last) {
    const found = store.get({ type: "Mesh", mesh: "", name: `left-${writer}` });
    assert.ok(found && found.version >= revision, `writer ${writer}: revision ${revision} is lost`);
  }
  for (let writer = 0; writer < WRITERS; writer++) {
    const left = store.get({ type: "Mesh", mesh: "", name: `left-${writer}` });
    const right = store.get({ type: "Mesh", mesh: "", name: `right-${writer}` });
    assert.equal(left?.version, right?.version);
    assert.deepEqual(left?.spec, right?.spec);
    const { round, text } = (left?.spec ?? { round: 0, text: "0" }) as {
      round: number;
      text: string;
    };
    assert.ok(new RegExp(`^${round % 10}+$`).test(text), `writer ${writer}: mixed content`);
  }
  const { revision } = store;
  await store.close();
  return revision;
}

if (import.meta.main) console.log(await killRounds(Number(Deno.args[0] ?? 50)));
