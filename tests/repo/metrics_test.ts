import assert from "node:assert/strict";
import { read, textFiles } from "./files.ts";

const METRIC = /\bursa_[a-z_]+_total\b/g;

async function metricsIn(files: readonly string[]): Promise<string[]> {
  const texts = await Promise.all(files.map(read));
  return [...new Set(texts.flatMap((text) => text.match(METRIC) ?? []))].sort();
}

Deno.test("docs/guides/troubleshooting.md names every metric that there is, and no other", async () => {
  const code = (await textFiles()).filter((file) =>
    /^(actors|api|cli|dns|identity|kds|xds)\/.*(?<!_test)\.ts$/.test(file)
  );
  assert.deepEqual(await metricsIn(["docs/guides/troubleshooting.md"]), await metricsIn(code));
});
