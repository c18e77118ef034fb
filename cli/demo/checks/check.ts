// What a check is: something a user would want to be true, and the figure that shows it.

import type { Load, Outcome } from "../client.ts";
import type { Scene } from "../scene.ts";

export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** The measured values, in a few words. */
  readonly figure: string;
  /** What is wrong, with the first evidence; empty when ok. */
  readonly detail: string;
}

export interface Check {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<{ readonly figure: string }>;
}

/** What a check found not to be true. Anything else that is thrown is a failed check as well. */
export class Unmet extends Error {
  override readonly name = "Unmet";
  readonly figure: string;
  constructor(message: string, figure = "") {
    super(message);
    this.figure = figure;
  }
}

export async function runCheck(check: Check, scene: Scene): Promise<CheckResult> {
  try {
    const { figure } = await check.run(scene);
    return { name: check.name, ok: true, figure, detail: "" };
  } catch (error) {
    const { message, figure = "" } = error as Unmet;
    return { name: check.name, ok: false, figure, detail: message };
  }
}

export function expect(condition: unknown, message: string, figure = ""): asserts condition {
  if (!condition) throw new Unmet(message, figure);
}

export function expectNoFailures(failures: readonly Outcome[], load: Load, during: string): void {
  const first = failures[0];
  if (!first) return;
  const figure = `${failures.length} of ${load.outcomes.length} failed`;
  throw new Unmet(`${figure} ${during}; the first: ${first.reply.error}`, figure);
}

export function ms(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}
