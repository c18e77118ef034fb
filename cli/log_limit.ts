// Warnings and errors that repeat: a peer that comes back every second must not hide the rest.

import type { LogLevel } from "../actors/runtime/actor.ts";
import type { JsonObject } from "../core/resource.ts";

/** The fields to write, with what was left out before; null: this line is left out. */
export type LogLimit = (level: LogLevel, message: string, fields: JsonObject) => JsonObject | null;

const WINDOW_MS = 60_000;
/** Lines of one message in a window, whatever their fields say. */
const LINES_MAX = 30;
const MESSAGES_MAX = 1_000;

interface Window {
  readonly sinceMs: number;
  lines: number;
  readonly repeated: Map<string, number>;
  /** How often lines of the window before came that have not been told again since. */
  readonly untold: Map<string, number>;
  dropped: number;
  untoldDropped: number;
}

/** The same line once a minute, and of one message so many; what was left out is told with the next. */
export function logLimit(nowMs: () => number): LogLimit {
  const windows = new Map<string, Window>();
  return (level, message, fields) => {
    if (level !== "warn" && level !== "error") return fields;
    const now = nowMs();
    let window = windows.get(message);
    if (!window || now >= window.sinceMs + WINDOW_MS || now < window.sinceMs) {
      window = following(window, now);
      windows.delete(message);
      windows.set(message, window);
      const [oldest] = windows.keys();
      if (windows.size > MESSAGES_MAX) windows.delete(oldest!);
    }
    const line = identityOf(fields);
    const times = window.repeated.get(line);
    if (times !== undefined) {
      window.repeated.set(line, times + 1);
      return null;
    }
    if (window.lines >= LINES_MAX) {
      window.dropped++;
      return null;
    }
    window.lines++;
    window.repeated.set(line, 0);
    const repeated = window.untold.get(line) ?? 0;
    const dropped = window.untoldDropped;
    window.untold.delete(line);
    window.untoldDropped = 0;
    return {
      ...fields,
      ...(repeated > 0 && { repeated }),
      ...(dropped > 0 && { dropped }),
    };
  };
}

function following(before: Window | undefined, sinceMs: number): Window {
  return {
    sinceMs,
    lines: 0,
    repeated: new Map(),
    untold: before?.repeated ?? new Map(),
    dropped: 0,
    untoldDropped: before?.dropped ?? 0,
  };
}

/** A peer dials from another port each time. */
function identityOf({ peer, ...fields }: JsonObject): string {
  const host = typeof peer === "string" ? peer.replace(/:\d+$/, "") : "";
  return JSON.stringify([host, fields]);
}
