// Writes to a Deno KV store as fast as it goes until killed, and prints each acknowledged revision.
// Writer `w` puts pairs of resources whose specs must always be equal, some of them large.

import { openKvStore } from "../../store/io/deno_kv.ts";
import type { Op } from "../../store/store.ts";

const [path, writers] = Deno.args as [string, string];
const store = await openKvStore(path);
const encoder = new TextEncoder();

async function write(writer: number): Promise<void> {
  for (let round = 0;; round++) {
    const result = await store.commit(pair(writer, round), Date.now());
    if (!result.ok) throw new Error(`Writer ${writer} lost a race with nobody`);
    // Synchronous, so that an acknowledgement is out before the next write starts.
    Deno.stdout.writeSync(encoder.encode(`${writer} ${result.revision}\n`));
  }
}

function pair(writer: number, round: number): Op[] {
  const length = round % 7 === 3 ? 200_000 : round % 31 === 5 ? 1_500_000 : 40;
  const spec = { round, text: String(round % 10).repeat(length) };
  return ["left", "right"].map((side) => ({
    op: "put",
    resource: { type: "Mesh", mesh: "", name: `${side}-${writer}`, labels: {}, spec },
  }));
}

await Promise.all(Array.from({ length: Number(writers) }, (_, writer) => write(writer)));
