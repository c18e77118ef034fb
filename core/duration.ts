// Durations in Go's notation, as Kuma's resources, settings and tools write them.

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `500ms`, `1h30m` or `0`; null when it is no such text. */
export function durationMs(text: string): number | null {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return null;
  const length = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)]
    .reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ""] ?? 0), 0);
  return Math.round(length);
}
