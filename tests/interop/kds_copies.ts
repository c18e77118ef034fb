// What one control plane wrote and the other should hold: by which name, and with the same content.

import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import type { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import { everyKind } from "../../cli/kinds.ts";
import { hashedName } from "../../core/names.ts";
import type { JsonObject, ResourceKey } from "../../core/resource.ts";

const KINDS = everyKind();

export function keysOf(yaml: string): readonly ResourceKey[] {
  return parseAllDocuments(yaml).map((document) => {
    const { type, mesh = "", name } = document.toJS() as Partial<ResourceKey>;
    return { type: type!, mesh, name: name! };
  });
}

export function pathOf({ type, mesh, name }: ResourceKey): string {
  const kind = KINDS.byName(type);
  assert.ok(kind, type);
  const collection = kind.scope === "Mesh" ? `/meshes/${mesh}/${kind.plural}` : `/${kind.plural}`;
  return `${collection}/${name}`;
}

/** What the other control plane calls it; `zone`: where it was written, if in a zone. */
export function copyOf(key: ResourceKey, zone?: string): ResourceKey {
  const { type, mesh, name } = key;
  if (KINDS.byName(type)?.keepsName) return key;
  const from = zone === undefined ? {} : { zone };
  return { ...key, name: hashedName({ mesh, displayName: name, ...from }) };
}

/** Until `to` holds what `from` has, under the name that it should have there. */
export async function untilCopied(
  { from, to, zone }: { readonly from: Rest; readonly to: Rest; readonly zone?: string },
  keys: readonly ResourceKey[],
): Promise<void> {
  for (const key of keys) {
    const copy = copyOf(key, zone);
    await until(`copy ${pathOf(copy)}`, async () => {
      const [original, found] = [await from.get(pathOf(key)), await to.find(pathOf(copy))];
      if (!found) return "it is not there";
      return same(content(original), content(found));
    });
    const { labels } = await to.get<{ labels?: JsonObject }>(pathOf(copy));
    const origin = zone === undefined ? "global" : "zone";
    assert.equal(labels?.["kuma.io/origin"], origin, pathOf(copy));
    assert.equal(labels?.["kuma.io/zone"], zone, pathOf(copy));
  }
}

export async function untilGone(from: Rest, keys: readonly ResourceKey[]): Promise<void> {
  for (const key of keys) {
    await until(
      `end of ${pathOf(key)}`,
      async () => !await from.find(pathOf(key)) || "still there",
    );
  }
}

/** Who it is, when, and what each control plane finds out by itself is not its content. */
function content(resource: JsonObject): JsonObject {
  const { name: _name, creationTime: _made, modificationTime: _changed, kri: _kri, ...rest } =
    resource;
  // A zone of Kuma's leaves its own name out; global writes it. Kuma 2.14 tells SNIs beside the spec.
  const { labels: _labels, status: _status, zone: _zone, snis: _snis, ...kept } = rest;
  return kept;
}

function same(a: JsonObject, b: JsonObject): true | string {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch (error) {
    return String(error);
  }
}
