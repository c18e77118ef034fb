// Text forms of google.protobuf.Duration, Timestamp and FieldMask.

import { malformed } from "./malformed.ts";

/** Seconds and nanoseconds, of equal sign for a duration; nanoseconds never negative for a time. */
export interface Instant {
  readonly seconds: bigint;
  readonly nanos: number;
}

const GIGA = 1_000_000_000n;
/** Bounds of google/protobuf/duration.proto: about 10 000 years. */
const DURATION_SECONDS_MAX = 315_576_000_000n;

const UNIT_NANOS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  "µs": 1_000n,
  "μs": 1_000n,
  ms: 1_000_000n,
  s: GIGA,
  m: 60n * GIGA,
  h: 3_600n * GIGA,
};

const DURATION = /^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g;

/** Go's syntax, such as `1m30s` or `0.5s`: what users write, and more than proto3 JSON allows. */
export function parseDuration(text: string): Instant {
  if (!DURATION.test(text)) throw malformed(`is no duration such as "5s" or "1m30s": "${text}"`);
  let nanos = 0n;
  for (const [, whole = "", fraction = "", unit = ""] of text.matchAll(DURATION_PART)) {
    const scale = UNIT_NANOS[unit] ?? 0n;
    nanos += BigInt(whole || "0") * scale;
    nanos += BigInt(fraction || "0") * scale / 10n ** BigInt(fraction.length);
  }
  if (nanos / GIGA > DURATION_SECONDS_MAX) throw malformed(`is out of range: "${text}"`);
  if (text.startsWith("-")) nanos = -nanos;
  return { seconds: nanos / GIGA, nanos: Number(nanos % GIGA) };
}

export function renderDuration({ seconds, nanos }: Instant): string {
  const negative = seconds < 0n || nanos < 0;
  const whole = seconds < 0n ? -seconds : seconds;
  return `${negative ? "-" : ""}${whole}${renderFraction(Math.abs(nanos))}s`;
}

const TIMESTAMP =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([-+])(\d\d):(\d\d))$/i;

/** RFC 3339. */
export function parseTimestamp(text: string): Instant {
  const found = TIMESTAMP.exec(text);
  const [, year, month, day, hour, minute, second, fraction = ""] = found ?? [];
  const utc = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  const milliseconds = found ? Date.parse(utc) : NaN;
  // Date.parse turns February 30 into March 2.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).getUTCDate() !== Number(day)) {
    throw malformed(`is no RFC 3339 time: "${text}"`);
  }
  const [sign, hours, minutes] = found?.slice(8) ?? [];
  const offset = sign === undefined ? 0 : Number(hours) * 3_600 + Number(minutes) * 60;
  const seconds = milliseconds / 1_000 - (sign === "-" ? -offset : offset);
  return { seconds: BigInt(seconds), nanos: Number(fraction.padEnd(9, "0")) };
}

export function renderTimestamp({ seconds, nanos }: Instant): string {
  const time = new Date(Number(seconds) * 1_000);
  if (Number.isNaN(time.getTime()) || nanos < 0) throw malformed("is no time");
  return `${time.toISOString().slice(0, -5)}${renderFraction(nanos)}Z`;
}

/** None, three, six or nine digits, as every protobuf implementation prints them. */
function renderFraction(nanos: number): string {
  if (nanos === 0) return "";
  const digits = String(nanos).padStart(9, "0");
  return `.${
    digits.endsWith("000000")
      ? digits.slice(0, 3)
      : digits.endsWith("000")
      ? digits.slice(0, 6)
      : digits
  }`;
}
