// HTTP/2 frames by hand, for peers that do what no library lets them do.

import { Buffer } from "node:buffer";

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const TYPE = { data: 0, headers: 1, settings: 4, goaway: 7 } as const;
export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
export const ACK = 0x1;

export interface Frame {
  readonly type: number;
  readonly flags?: number;
  readonly stream?: number;
  readonly payload?: Uint8Array;
}

export function frame({ type, flags = 0, stream = 0, payload = new Uint8Array() }: Frame) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field of RFC 7541 §6.2.2, without Huffman coding. */
export function literal(name: string, value: string): number[] {
  return [0, name.length, ...Buffer.from(name), value.length, ...Buffer.from(value)];
}

export function goaway(lastStream: number): Uint8Array {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(lastStream, 0);
  return frame({ type: TYPE.goaway, payload });
}

/** Calls back for each whole frame; `skip` bytes come before the first. */
export function eachFrame(
  skip: number,
  seen: (frame: Required<Frame>) => void,
): (chunk: Uint8Array) => void {
  let buffered = Buffer.alloc(0);
  let toSkip = skip;
  return (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    if (buffered.length < toSkip) return;
    buffered = buffered.subarray(toSkip);
    toSkip = 0;
    while (buffered.length >= 9) {
      const length = 9 + buffered.readUIntBE(0, 3);
      if (buffered.length < length) return;
      const [type, flags] = [buffered.readUInt8(3), buffered.readUInt8(4)];
      const stream = buffered.readUInt32BE(5);
      const payload = buffered.subarray(9, length);
      buffered = buffered.subarray(length);
      seen({ type, flags, stream, payload });
    }
  };
}
