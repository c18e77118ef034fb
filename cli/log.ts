// Structured log lines on stderr, as logfmt or JSON.

import type { LogLevel } from "../actors/runtime/actor.ts";
import type { JsonObject } from "../core/resource.ts";
import { logLimit } from "./log_limit.ts";

export type Log = (level: LogLevel, message: string, fields?: JsonObject) => void;

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "logfmt" | "json";
  /** Receives whole lines; stderr unless a test says otherwise. */
  readonly write?: (line: string) => void;
  readonly nowMs?: () => number;
}

export function openLog(options: LogOptions): Log {
  const { write = writeToStderr, nowMs = Date.now } = options;
  const render = options.format === "json" ? JSON.stringify : logfmt;
  const threshold = LEVELS.indexOf(options.level);
  const limit = logLimit(nowMs);
  return (level, message, fields = {}) => {
    if (LEVELS.indexOf(level) < threshold) return;
    const limited = limit(level, message, fields);
    if (!limited) return;
    const time = new Date(nowMs()).toISOString();
    write(`${render({ time, level, message, ...limited })}\n`);
  };
}

function logfmt(line: JsonObject): string {
  return Object.entries(line).map(([key, value]) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    // Quoted as JSON does, so that one event stays on one line.
    return `${key}=${/^[^\s"=\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text)}`;
  }).join(" ");
}

const encoder = new TextEncoder();

/** Synchronous: the last line before a crash is the one that is needed. */
function writeToStderr(line: string): void {
  const bytes = encoder.encode(line);
  let written = 0;
  while (written < bytes.length) written += Deno.stderr.writeSync(bytes.subarray(written));
}
