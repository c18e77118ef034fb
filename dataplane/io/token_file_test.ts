import { equal, match, rejects } from "node:assert/strict";
import { followToken, readToken } from "./token_file.ts";

async function inFolder(play: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ursa-token-" });
  try {
    await play(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function shownBy(text: string): string {
  return JSON.parse(text).resources[0].genericSecret.secret.inlineString;
}

Deno.test("readToken() takes one token with any white space around it, and nothing else", async () => {
  await inFolder(async (dir) => {
    equal(await readToken(""), "");
    await Deno.writeTextFile(`${dir}/t`, " a.b-c_d.e\n\n");
    equal(await readToken(`${dir}/t`), "a.b-c_d.e");
    for (const text of ["", "a\nb", "Bearer a.b.c", "a.b\u{1F600}"]) {
      await Deno.writeTextFile(`${dir}/t`, text);
      await rejects(readToken(`${dir}/t`), /must hold one token and nothing else/);
    }
  });
});

Deno.test("followToken() keeps Envoy's copy as new as the file, however that is replaced", async () => {
  await inFolder(async (dir) => {
    await Deno.mkdir(`${dir}/given`);
    const [file, copy] = [`${dir}/given/token`, `${dir}/token.json`];
    await Deno.writeTextFile(file, "one.1.1\n");
    const stop = new AbortController();
    const said: string[] = [];
    let heard = Promise.withResolvers<void>();
    const next = async () => {
      await heard.promise;
      heard = Promise.withResolvers<void>();
    };
    await followToken(file, {
      copy,
      stop: stop.signal,
      log: (level, message, reason = "") => {
        said.push(`${level}: ${message} ${reason}`);
        heard.resolve();
      },
    });
    equal(shownBy(await Deno.readTextFile(copy)), "one.1.1");
    equal((await Deno.stat(copy)).mode! & 0o777, 0o600);
    await Deno.writeTextFile(`${dir}/given/new`, "two.2.2\n");
    await Deno.rename(`${dir}/given/new`, file);
    await next();
    equal(shownBy(await Deno.readTextFile(copy)), "two.2.2");
    await Deno.remove(file);
    await next();
    match(said.at(-1)!, /warn: .*the former token stays/);
    equal(shownBy(await Deno.readTextFile(copy)), "two.2.2");
    stop.abort();
  });
});
