// A resource as bytes: kuma.mesh.v1alpha1.KumaResource. kuma@v2.13.10:pkg/core/resources/model (ToAny)

import { compareText, type Draft, type ResourceDescriptor } from "../core/resource.ts";
import { contentHash } from "../core/version.ts";
import { messageType } from "../proto/mod.ts";
import { decodeJson, decodeSpec, encodeJson, encodeSpec } from "../proto/spec.ts";
import { type KdsItem, wireName } from "./wire.ts";

const KUMA_RESOURCE = "kuma.mesh.v1alpha1.KumaResource";
const URL_PREFIX = "type.googleapis.com/";

interface RawKumaResource {
  readonly meta: {
    readonly name: string;
    readonly mesh: string;
    readonly labels: Readonly<Record<string, string>>;
  } | null;
  readonly spec: RawAny | null;
  readonly status: RawAny | null;
}

interface RawAny {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export function encodeResource(draft: Draft, descriptor: ResourceDescriptor): KdsItem {
  const value = encodeSpec(descriptor, draft.spec);
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
        ...(descriptor.message !== undefined && { typeUrl: URL_PREFIX + descriptor.message }),
        ...(value.length > 0 && { value }),
      },
      ...(descriptor.hasStatus && { status: { value: encodeJson(draft.status ?? {}) } }),
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
    const { message } = descriptor;
    if (url !== (message === undefined ? "" : URL_PREFIX + message)) {
      return { ok: false, name: wireName({ mesh, name }), reason: `has a spec of type "${url}"` };
    }
    const spec = decodeSpec(descriptor, raw.spec?.value ?? new Uint8Array());
    const status = descriptor.hasStatus && raw.status ? decodeJson(raw.status.value) : undefined;
    const draft = { type: descriptor.name, mesh, name, labels: { ...labels }, spec };
    return { ok: true, draft: { ...draft, ...(status && { status }) } };
  } catch (error) {
    return { ok: false, name: item.name, reason: `cannot be decoded: ${String(error)}` };
  }
}
