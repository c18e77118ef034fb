// A resource as bytes: kuma.mesh.v1alpha1.KumaResource.

import { compareText, type Draft, type ResourceDescriptor } from "../core/resource.ts";
import { contentHash } from "../core/version.ts";
import { decode, encode, messageType } from "../proto/mod.ts";
import { type KdsItem, wireName } from "./wire.ts";

const KUMA_RESOURCE = "kuma.mesh.v1alpha1.KumaResource";
const URL_PREFIX = "type.googleapis.com/";

interface RawKumaResource {
  readonly meta: {
    readonly name: string;
    readonly mesh: string;
    readonly labels: Readonly<Record<string, string>>;
  } | null;
  readonly spec: { readonly typeUrl: string; readonly value: Uint8Array } | null;
}

export function encodeResource(draft: Draft, descriptor: ResourceDescriptor): KdsItem {
  const value = encode(descriptor.message, draft.spec);
  const labels = Object.entries(draft.labels).sort(([a], [b]) => compareText(a, b));
  // A plain copy: protobufjs hands out a piece of a pool, which would be kept alive whole.
  const bytes = new Uint8Array(
    messageType(KUMA_RESOURCE).encode({
      meta: {
        name: draft.name,
        // A default value that is set would be written; the wire's canonical form leaves it out.
        ...(draft.mesh !== "" && { mesh: draft.mesh }),
        labels: Object.fromEntries(labels),
      },
      spec: {
        typeUrl: URL_PREFIX + descriptor.message,
        ...(value.length > 0 && { value }),
      },
    }).finish(),
  );
  return { name: wireName(draft), version: contentHash(bytes), bytes };
}

export type Decoded =
  | { readonly ok: true; readonly draft: Draft }
  | { readonly ok: false; readonly name: string; readonly reason: string };

/** Whatever is wrong with one resource is said of that resource alone. */
export function decodeResource(item: KdsItem, descriptor: ResourceDescriptor): Decoded {
  if (item.wrongType !== undefined) {
    return { ok: false, name: item.name, reason: `is packed as "${item.wrongType}"` };
  }
  try {
    const raw = messageType(KUMA_RESOURCE).decode(item.bytes) as unknown as RawKumaResource;
    const { name = "", mesh = "", labels = {} } = raw.meta ?? {};
    const url = raw.spec?.typeUrl ?? "";
    if (name === "") return { ok: false, name: item.name, reason: "has no name" };
    if (url !== URL_PREFIX + descriptor.message) {
      return { ok: false, name: wireName({ mesh, name }), reason: `has a spec of type "${url}"` };
    }
    const spec = decode(descriptor.message, raw.spec?.value ?? new Uint8Array());
    return { ok: true, draft: { type: descriptor.name, mesh, name, labels: { ...labels }, spec } };
  } catch (error) {
    return { ok: false, name: item.name, reason: `cannot be decoded: ${String(error)}` };
  }
}
