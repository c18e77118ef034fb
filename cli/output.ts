// What commands print, and what they end with: tables, failures, exit codes.

import { CommanderError } from "commander";
import { InvalidError } from "../core/errors.ts";

/** 0 is success. */
export const EXIT = { error: 1, usage: 2, checkFailed: 3 } as const;

/** A command that could not do its work: one message for the person, one code for the script. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;
  constructor(message: string, exitCode: number = EXIT.error) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The one table from what was thrown to an exit code. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  if (error instanceof InvalidError) return EXIT.usage;
  if (error instanceof CommanderError) return SHOWN.has(error.code) ? 0 : EXIT.usage;
  return EXIT.error;
}

/** What to print on stderr about it; "" when the parser has printed it already. */
export function errorText(error: unknown): string {
  if (error instanceof CommanderError) return "";
  return `${error instanceof Error ? error.message : error}\n`;
}

/** Commander throws after it has shown what was asked for. */
const SHOWN = new Set(["commander.helpDisplayed", "commander.version"]);

/** Columns padded to their widest cell, three spaces between: no boxes, so that scripts can cut. */
export function renderTable(
  headers: readonly string[],
  rows: readonly (readonly string[])[],
  { noHeaders = false }: { readonly noHeaders?: boolean } = {},
): string {
  const lines = noHeaders ? rows : [headers, ...rows];
  const widths = headers.map((_, column) =>
    Math.max(0, ...lines.map((line) => line[column]?.length ?? 0))
  );
  return lines.map((line) =>
    `${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("   ").trimEnd()}\n`
  ).join("");
}

/** "5m", "2h", "3d": the largest whole unit. */
export function age(fromMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - fromMs) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

/** The age of an RFC 3339 time; "never" without one. */
export function ago(time: unknown, nowMs: number): string {
  const atMs = typeof time === "string" ? Date.parse(time) : NaN;
  // Go's zero time means that it never was.
  return Number.isNaN(atMs) || atMs <= 0 ? "never" : age(atMs, nowMs);
}
