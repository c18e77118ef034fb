// Resources that are a little wrong, and what Ursa makes of them; kuma-cp's verdicts are recorded.

import { parseAllDocuments } from "yaml";
import { specOf } from "../../api/admission.ts";
import { everyKind } from "../../cli/kinds.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/resource.ts";
import { MODERN_SAMPLES } from "../../core/stored/modern_samples_test.ts";
import { readSpec } from "../../proto/spec.ts";
import { EVERY_KIND } from "./every_kind.ts";

/** `TYPE EDIT`, where the two differ on purpose, and why. */
export const DIFFERENCES: readonly (readonly [RegExp, string])[] = [
  [/(protocol|match|mode)=(-1|70000)$/, "a number that no value of the enum has"],
  [/ports\.\d\.port=-1$/, "a port below 0, which does not fit its field in Kuma either"],
  [/requestMirror\.percentage=/, "Kuma does not look at the share that is mirrored"],
  [/clientCert\.inline=/, "what is in the bytes is not looked at"],
  [/(address|endpoint|url)="(x|0s)"$/, "whether a text is a URL is judged by its form alone"],
  [/\.value="(x|0s)?"$/, "Envoy's resources inside a resource are not judged"],
];

type Edit = readonly [what: string, edited: JsonObject];

/** The sample without each of its fields, and with other values in their places. */
export function edits(sample: JsonObject): readonly Edit[] {
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

export const KINDS = everyKind();

/** Of the kinds that have no effect yet. */
export function samples(): readonly JsonObject[] {
  return parseAllDocuments(`${EVERY_KIND}\n---\n${MODERN_SAMPLES}`)
    .map((document) => document.toJS() as JsonObject)
    .filter(({ type }) => KINDS.byName(String(type))?.withoutEffect);
}

export function isAccepted(resource: JsonObject): boolean {
  const kind = KINDS.byName(String(resource["type"]))!;
  const { spec } = specOf(kind, resource);
  const { known, canonical } = readSpec(kind, spec);
  return kind.validate(known).length === 0 && canonical(known).ok;
}
