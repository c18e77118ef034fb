// Resources that are a little wrong: what kuma-cp refuses, Ursa refuses too, and what it takes is taken.

import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { specOf } from "../../api/admission.ts";
import { everyKind } from "../../cli/kinds.ts";
import { isObject, sameJson } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { MODERN_SAMPLES } from "../../core/stored/modern_samples_test.ts";
import { readSpec } from "../../proto/spec.ts";
import { EVERY_KIND } from "./every_kind.ts";
import { interop } from "./interop.ts";
import { KumaCp } from "./kuma.ts";

/** `TYPE EDIT`, where the two differ on purpose, and why. */
const DIFFERENCES: readonly (readonly [RegExp, string])[] = [
  [/(protocol|match|mode)=(-1|70000)$/, "a number that no value of the enum has"],
  [/ports\.\d\.port=-1$/, "a port below 0, which does not fit its field in Kuma either"],
  [/requestMirror\.percentage=/, "Kuma does not look at the share that is mirrored"],
  [/clientCert\.inline=/, "what is in the bytes is not looked at"],
  [/(address|endpoint|url)="(x|0s)"$/, "whether a text is a URL is judged by its form alone"],
  [/\.value="(x|0s)?"$/, "Envoy's resources inside a resource are not judged"],
];

type Edit = readonly [what: string, edited: JsonObject];

/** The sample without each of its fields, and with other values in their places. */
function edits(sample: JsonObject): readonly Edit[] {
  const found: Edit[] = [["as it is", sample]];
  type Owner = Record<string | number, Json>;
  const at = (root: Json, path: readonly (string | number)[]) =>
    path.reduce<Owner>((value, key) => value[key] as Owner, root as Owner);
  const walk = (value: Json, path: readonly (string | number)[]): void => {
    if (path.length > 0) {
      const [last, owner] = [path.at(-1)!, path.slice(0, -1)];
      const edit = (what: string, change: (owner: Owner) => void) => {
        const copy = structuredClone(sample) as JsonObject;
        change(at(copy, owner));
        found.push([what, copy]);
      };
      edit(`del ${path.join(".")}`, (one) => {
        if (Array.isArray(one)) one.splice(last as number, 1);
        else delete one[last];
      });
      const others = isObject(value) || Array.isArray(value)
        ? [{}, [], "x"]
        : [0, -1, 70_000, "", "x", {}, "0s"];
      for (const other of others) {
        edit(`set ${path.join(".")}=${JSON.stringify(other)}`, (one) => one[last] = other);
      }
    }
    if (Array.isArray(value)) value.forEach((item: Json, index) => walk(item, [...path, index]));
    else if (isObject(value)) {
      for (const [key, inner] of Object.entries(value)) {
        const isMeta = path.length === 0 && ["type", "mesh", "name", "labels"].includes(key);
        if (!isMeta) walk(inner, [...path, key]);
      }
    }
  };
  walk(sample, []);
  return found;
}

const KINDS = everyKind();

function samples(): readonly JsonObject[] {
  return parseAllDocuments(`${EVERY_KIND}\n---\n${MODERN_SAMPLES}`)
    .map((document) => document.toJS() as JsonObject);
}

function isAccepted(resource: JsonObject): boolean {
  const kind = KINDS.byName(String(resource["type"]))!;
  const { spec } = specOf(kind, resource);
  const { known, canonical } = readSpec(kind, spec);
  return kind.validate(known).length === 0 && canonical(known).ok;
}

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
    if (!kind.withoutEffect) continue;
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
  let count = 0;
  for (const sample of samples()) {
    const kind = KINDS.byName(String(sample["type"]))!;
    if (!kind.withoutEffect) continue;
    for (const [what, edited] of edits(sample)) {
      const name = `n-${count++}`;
      const at = kind.scope === "Mesh" ? "/meshes/shop" : "";
      const path = `${at}/${kind.plural}/${name}`;
      const theirs = await put(path, { ...edited, name });
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
});
