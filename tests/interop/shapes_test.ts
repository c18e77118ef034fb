// Resources that are a little wrong: what kuma-cp refuses, Ursa refuses too, and what it takes is taken.

import assert from "node:assert/strict";
import { specOf } from "../../api/admission.ts";
import { isObject, sameJson } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { readSpec } from "../../proto/spec.ts";
import recorded from "../../core/stored/verdicts.recorded.json" with { type: "json" };
import { DIFFERENCES, edits, isAccepted, KINDS, samples } from "./edits.ts";
import { interop } from "./interop.ts";
import { KumaCp } from "./kuma.ts";

const UNITS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3 };

/** Ursa gives `1h` back as it was written, and Kuma as `1h0m0s`. */
function inSeconds(value: Json): Json {
  if (Array.isArray(value)) return value.map(inSeconds);
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inSeconds(one)]));
  }
  if (typeof value !== "string" || !/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(value)) return value;
  return [...value.matchAll(/([\d.]+)(ms|h|m|s)/g)]
    .reduce((sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit!]!, 0);
}

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "resources of all types read back the same, with what was left out filled in",
}, async (bench) => {
  const kuma = await bench.keep(new KumaCp({ ...bench, name: "z", mode: "zone" })).start();
  const api = kuma.url("api");
  const put = (path: string, body: JsonObject) =>
    fetch(`${api}${path}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  await (await put("/meshes/shop", { type: "Mesh", name: "shop" })).body?.cancel();
  const differ: string[] = [];
  for (const sample of samples()) {
    const kind = KINDS.byName(String(sample["type"]))!;
    const name = `${sample["name"]}-${kind.plural}`;
    const path = `${kind.scope === "Mesh" ? "/meshes/shop" : ""}/${kind.plural}/${name}`;
    const answer = await put(path, { ...sample, name });
    const said = await answer.text();
    assert.ok(answer.ok, `${path}: ${said}`);
    const read = await (await fetch(`${api}${path}`)).json();
    const { known, canonical } = readSpec(kind, specOf(kind, sample).spec);
    const own = canonical(known);
    if (!own.ok || !sameJson(inSeconds(own.spec), inSeconds(specOf(kind, read).spec))) {
      differ.push(`${path}: ${JSON.stringify(own)}, and in Kuma ${JSON.stringify(read)}`);
    }
  }
  assert.deepEqual(differ, []);
});

interop(import.meta.url, {
  peer: "kuma-cp",
  feature: "the same verdicts on thousands of resources of all types, right and a little wrong",
}, async (bench) => {
  const kuma = await bench.keep(new KumaCp({ ...bench, name: "z", mode: "zone" })).start();
  const api = kuma.url("api");
  const put = async (path: string, body: JsonObject): Promise<boolean> => {
    const response = await fetch(`${api}${path}`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    await response.body?.cancel();
    assert.ok(response.status < 500 || !isAccepted(body), `${path}: ${response.status}`);
    return response.ok;
  };
  assert.ok(await put("/meshes/shop", { type: "Mesh", name: "shop" }));
  const differ: string[] = [];
  const verdicts: Record<string, string> = {};
  let count = 0;
  for (const sample of samples()) {
    const kind = KINDS.byName(String(sample["type"]))!;
    const key = `${kind.name} ${sample["name"]}`;
    verdicts[key] = "";
    for (const [what, edited] of edits(sample)) {
      const name = `n-${count++}`;
      const at = kind.scope === "Mesh" ? "/meshes/shop" : "";
      const path = `${at}/${kind.plural}/${name}`;
      const theirs = await put(path, { ...edited, name });
      verdicts[key] += theirs ? "1" : "0";
      const line = `${kind.name} ${what}`;
      if (theirs !== isAccepted(edited) && !DIFFERENCES.some(([rule]) => rule.test(line))) {
        differ.push(`${line}: ${theirs ? "accepted" : "refused"} by Kuma`);
      }
      // Nothing is left for the control plane to work on.
      if (theirs) await (await fetch(`${api}${path}`, { method: "DELETE" })).body?.cancel();
    }
  }
  assert.ok(count > 4_000, `${count} resources`);
  assert.deepEqual(differ, []);
  // Replayed by core/stored/verdicts_test.ts.
  const file = Deno.env.get("URSA_RECORD");
  if (file) await Deno.writeTextFile(file, `${JSON.stringify(verdicts, null, 1)}\n`);
  else assert.deepEqual(verdicts, recorded);
});
