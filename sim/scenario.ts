// A scenario as users read and write it: YAML with a world, and steps that say when and what.

import { parseDocument } from "yaml";
import { InvalidError } from "../core/errors.ts";
import { isObject } from "../core/json.ts";
import type { Violation } from "../core/violation.ts";
import { durationMs } from "./duration.ts";
import { DEFAULT_MIX, planOf } from "./plan.ts";
import type { RunOptions } from "./run.ts";
import { type Step, type Verb, VERBS, type With } from "./steps.ts";

export interface Scenario {
  readonly name: string;
  readonly says: string;
  readonly zones: number;
  readonly global: boolean;
  /** What happens besides, as in the default mix. */
  readonly mix: { readonly proxies: number; readonly work: number; readonly faults: number };
  readonly seconds: number;
  /** What global is started with, as `1m`. */
  readonly unreachableZoneAfter?: string;
  /** Nothing is healed at the end, and nobody goes. */
  readonly unhealed: boolean;
  readonly steps: readonly Step[];
}

const DURATIONS = ["for", "within", "delay", "stalls", "slow", "by", "gap", "every"];
/** What follows by itself after the last step. */
const AFTERWARDS_MS = 1_000;

export function parseScenario(name: string, text: string): Scenario {
  const document = parseDocument(text);
  const violations: Violation[] = document.errors.map(({ message }) => ({ path: "", message }));
  const content: unknown = violations.length === 0 ? document.toJS() : {};
  const { says = "", world = {}, mix = {}, steps = [] } = (isObject(content) ? content : {}) as {
    readonly says?: string;
    readonly world?: Partial<Scenario>;
    readonly mix?: Partial<Scenario["mix"]>;
    readonly steps?: readonly unknown[];
  };
  const parsed = steps.flatMap((step, i) => parseStep(step, `steps[${i}]`, violations));
  if (violations.length > 0) throw new InvalidError(`Cannot run scenario ${name}`, violations);
  const lastMs = Math.max(0, ...parsed.map(({ atMs, with: given }) => atMs + timeIn(given)));
  return {
    name,
    says: says.trim().replaceAll(/\s+/g, " "),
    zones: world.zones ?? 2,
    global: world.global ?? true,
    mix: { proxies: mix.proxies ?? 0, work: mix.work ?? 0, faults: mix.faults ?? 0 },
    seconds: world.seconds ?? (lastMs + AFTERWARDS_MS) / 1_000,
    unhealed: world.unhealed ?? false,
    ...(world.unreachableZoneAfter && { unreachableZoneAfter: world.unreachableZoneAfter }),
    steps: parsed,
  };
}

function timeIn({ within = 0, for: forMs = 0 }: With): number {
  return Number(within) + Number(forMs);
}

function parseStep(step: unknown, path: string, violations: Violation[]): Step[] {
  const given = isObject(step) ? step : {};
  const verb = Object.keys(given).find((key): key is Verb => key in VERBS);
  if (verb === undefined) {
    const message = `must have one of ${Object.keys(VERBS).join(", ")}`;
    violations.push({ path, message });
    return [];
  }
  const { at = "0s", [verb]: of, ...others } = given;
  const atMs = durationMs(String(at));
  if (atMs === null) violations.push({ path: `${path}.at`, message: "must be like 500ms or 5s" });
  const read = Object.entries(others).map(([key, value]) => {
    const ms = DURATIONS.includes(key) && typeof value === "string" ? durationMs(value) : value;
    if (ms === null) violations.push({ path: `${path}.${key}`, message: "must be like 5s" });
    return [key, ms];
  });
  const { every = 0, times = 1, ...rest } = Object.fromEntries(read);
  return Array.from({ length: Number(times) }, (_, n): Step => ({
    atMs: (atMs ?? 0) + n * Number(every),
    verb,
    of: String(of ?? ""),
    with: rest,
  }));
}

export function optionsOf(scenario: Scenario, seed: number): RunOptions {
  const { zones, global, mix, seconds, steps, unhealed, unreachableZoneAfter } = scenario;
  const besides = mix.proxies === 0 ? [] : planOf(seed, {
    ...DEFAULT_MIX,
    ...mix,
    zones,
    global,
    seconds,
  });
  const all = [...besides, ...steps].sort((a, b) => a.atMs - b.atMs);
  const settings = unreachableZoneAfter === undefined ? {} : { unreachableZoneAfter };
  return { seed, zones, global, seconds, steps: all, bad: 0, unhealed, ...settings };
}

/** As it stands in a scenario file. */
export function stepText({ atMs, verb, of, with: given }: Step): string {
  const facts = Object.entries(given).map(([key, value]) =>
    `${key}: ${
      DURATIONS.includes(key) && typeof value === "number" ? `${value}ms` : JSON.stringify(value)
    }`
  );
  return `- {at: ${atMs}ms, ${verb}: ${JSON.stringify(of)}${
    facts.map((it) => `, ${it}`).join("")
  }}`;
}
