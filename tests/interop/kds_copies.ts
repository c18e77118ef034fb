// What one control plane wrote and the other should hold: by which name, and with the same content.

import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import type { Rest } from "../../cli/demo/rest.ts";
import { until } from "../../cli/demo/until.ts";
import { everyKind } from "../../cli/kinds.ts";
import { hashedName } from "../../core/names.ts";
import type { JsonObject, ResourceKey } from "../../core/resource.ts";
import { GLOBAL_SAMPLES, ZONE_SAMPLES } from "./kds_samples.ts";
import type { Kumactl } from "./kuma.ts";

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

/**
 * What a zone writes goes up but for its secrets, and what is edited and deleted on either side is
 * so on the other. `down`: the samples that the zone has from global.
 */
export async function untilChangesFollow(
  { global, zone, name, down }: {
    readonly global: { readonly rest: Rest; readonly kumactl: Kumactl };
    readonly zone: { readonly rest: Rest; readonly kumactl: Kumactl };
    /** The zone's. */
    readonly name: string;
    readonly down: readonly ResourceKey[];
  },
): Promise<void> {
  await zone.kumactl.apply(ZONE_SAMPLES);
  const up = keysOf(ZONE_SAMPLES).filter(({ type }) => type !== "Secret");
  await untilCopied({ from: zone.rest, to: global.rest, zone: name }, up);
  const secret = { type: "Secret", mesh: "default", name: "zsec1" };
  assert.equal(await global.rest.find(pathOf(secret)), null, "a zone's secrets stay there");

  await global.kumactl.apply(
    GLOBAL_SAMPLES.replace("connectionTimeout: 5s", "connectionTimeout: 6s"),
  );
  await untilCopied({ from: global.rest, to: zone.rest }, down);
  await global.kumactl.ok(["delete", "meshtimeout", "mt1"]);
  await untilGone(zone.rest, [copyOf({ type: "MeshTimeout", mesh: "default", name: "mt1" })]);
  await zone.kumactl.ok(["delete", "dataplane", "be-1"]);
  const dataplane = { type: "Dataplane", mesh: "default", name: "be-1" };
  await untilGone(global.rest, [copyOf(dataplane, name)]);
}
