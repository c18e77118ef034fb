// The few bytes of delta ADS that a proxy without behaviour needs; nothing of the server's own codec.

export const XDS = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
} as const;

export interface Received {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly removed: readonly string[];
}

/** A DeltaDiscoveryResponse: envoy/service/discovery/v3/discovery.proto. */
export function readResponse(bytes: Uint8Array): Received {
  let [typeUrl, nonce] = ["", ""];
  const resources: { name: string; bytes: Uint8Array }[] = [];
  const removed: string[] = [];
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 2) resources.push(readResource(value));
    else if (field === 4) typeUrl = text(value);
    else if (field === 5) nonce = text(value);
    else if (field === 6) removed.push(text(value));
  }
  return { typeUrl, nonce, resources, removed };
}

function readResource(bytes: Uint8Array): { name: string; bytes: Uint8Array } {
  const resource: { name: string; bytes: Uint8Array } = { name: "", bytes: new Uint8Array() };
  for (const [field, value] of fieldsOf(bytes)) {
    if (field === 3) resource.name = text(value);
    else if (field === 2) resource.bytes = value;
  }
  return resource;
}

/** Whether an Any of a Cluster has type EDS (field 2, value 3). */
export function isEdsCluster(any: Uint8Array): boolean {
  for (const [field, cluster] of fieldsOf(any)) {
    if (field !== 2) continue;
    for (const [inner, value] of fieldsOf(cluster)) if (inner === 2) return value[0] === 3;
  }
  return false;
}

/** Whether an Any of a ClusterLoadAssignment names an endpoint. */
export function hasEndpoints(any: Uint8Array): boolean {
  for (const [field, assignment] of fieldsOf(any)) {
    if (field !== 2) continue;
    for (const [inner, locality] of fieldsOf(assignment)) {
      if (inner !== 2) continue;
      for (const [innermost] of fieldsOf(locality)) if (innermost === 2) return true;
    }
  }
  return false;
}

export interface Asked {
  readonly typeUrl: string;
  readonly nonce?: string;
  readonly subscribe?: readonly string[];
  readonly node?: { readonly id: string; readonly metadata: Readonly<Record<string, string>> };
}

/** A DeltaDiscoveryRequest. */
export function writeRequest({ typeUrl, nonce, subscribe = [], node }: Asked): Uint8Array {
  return message([
    ...(node ? [[1, nodeBytes(node)] as const] : []),
    [2, utf8(typeUrl)],
    ...subscribe.map((name) => [3, utf8(name)] as const),
    ...(nonce ? [[6, utf8(nonce)] as const] : []),
  ]);
}

/** config.core.v3.Node with a google.protobuf.Struct of strings. */
function nodeBytes({ id, metadata }: NonNullable<Asked["node"]>): Uint8Array {
  const entries = Object.entries(metadata).map(([key, value]) =>
    [1, message([[1, utf8(key)], [2, message([[3, utf8(value)]])]])] as const
  );
  return message([[1, utf8(id)], [2, utf8("bench")], [3, message(entries)]]);
}

function message(fields: readonly (readonly [number, Uint8Array])[]): Uint8Array {
  const parts = fields.flatMap(([field, value]) => [varint((field << 3) | 2, value.length), value]);
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function varint(...values: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  for (let value of values) {
    for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
    bytes.push(value);
  }
  return Uint8Array.from(bytes);
}

/** Fields with their bytes: those of the number, when it is one. */
export function* fieldsOf(bytes: Uint8Array): Generator<readonly [number, Uint8Array]> {
  let at = 0;
  const number = (): number => {
    let [value, shift] = [0, 1];
    for (;;) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
      shift *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = number();
    const wire = tag & 7;
    if (wire === 2) {
      const length = number();
      yield [tag >>> 3, bytes.subarray(at, at + length)];
      at += length;
      continue;
    }
    const start = at;
    if (wire === 0) number();
    else at += wire === 1 ? 8 : 4;
    yield [tag >>> 3, bytes.subarray(start, at)];
  }
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
const text = (bytes: Uint8Array) => decoder.decode(bytes);
const utf8 = (value: string) => encoder.encode(value);
