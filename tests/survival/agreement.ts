// What ends every scenario: global and zones hold the same, and then have nothing more to say.

import type { Zone } from "../../cli/demo/cluster.ts";
import type { Rest } from "../../cli/demo/rest.ts";
import { pause, until } from "../../cli/demo/until.ts";
import { everyKind } from "../../cli/kinds.ts";
import { ORIGIN_LABEL, ZONE_LABEL } from "../../core/names.ts";
import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { TRAVEL } from "../../core/travel.ts";
import type { Federation } from "./federation.ts";

/** Global keeps these for itself, but for single ones that its zones need. */
const MOSTLY_GLOBALS = new Set(["Config", "GlobalSecret", "ServiceInsight"]);
const KINDS = everyKind().all().filter(({ name }) => !MOSTLY_GLOBALS.has(name));

/** By which name, with which content. */
type Copies = ReadonlyMap<string, string>;

interface Item extends JsonObject {
  readonly kri: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Milliseconds until each zone and global have of each other what they should. */
export function untilAgreed({ global, east, west }: Federation): Promise<number> {
  return until("agreement", async () => {
    for (const kind of KINDS) {
      const { down, up, across } = TRAVEL[kind.kds];
      if (!down && !up && across === "never") continue;
      const onGlobal = await itemsOf(global.rest, kind);
      for (const { zone: { name, rest } } of [east, west]) {
        const inZone = await itemsOf(rest, kind);
        const differs = down &&
            difference(copies(onGlobal, isGlobals), copies(inZone, isGlobals)) ||
          up && difference(copies(inZone, isOf(name)), copies(onGlobal, isOf(name))) ||
          across === "all" &&
            difference(copies(onGlobal, isOfOther(name)), copies(inZone, isOfOther(name)));
        if (differs) return `${kind.name} of ${name}: ${differs}`;
      }
    }
    return true;
  });
}

const isGlobals = ({ labels }: Item) =>
  labels?.[ZONE_LABEL] === undefined && labels?.[ORIGIN_LABEL] !== "zone";
const isOf = (zone: string) => ({ labels }: Item) => labels?.[ZONE_LABEL] === zone;
const isOfOther = (zone: string) => (item: Item) => !isGlobals(item) && !isOf(zone)(item);

async function itemsOf(rest: Rest, { plural }: ResourceDescriptor): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let path: string | null = `/${plural}?size=1000`; path !== null;) {
    const page: { items: readonly Item[]; next: string | null } = await rest.get(path);
    items.push(...page.items);
    path = page.next && page.next.slice(page.next.indexOf("/", "http://".length));
  }
  return items;
}

function copies(items: readonly Item[], which: (item: Item) => boolean): Copies {
  return new Map(items.filter(which).map((item) => [item.kri, content(item)]));
}

/** Names, labels and times are each side's own. */
function content({ name: _name, labels: _labels, ...rest }: Item): string {
  const { creationTime: _made, modificationTime: _changed, ...spec } = rest;
  return JSON.stringify(sorted(spec));
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

function difference(one: Copies, other: Copies): string | false {
  for (const [kri, content] of one) {
    const found = other.get(kri);
    if (found === undefined) return `${kri} has no copy`;
    if (found !== content) return `${kri} is ${found}, should be ${content}`;
  }
  const extra = [...other.keys()].find((kri) => !one.has(kri));
  return extra !== undefined && `${extra} is a copy of nothing`;
}

const WINDOW_MS = 2_000;
/** Insights of what a scenario did are written up to 10 s later. */
const STORM_MS = 20_000;

/** Until less than one message a second goes over any stream, health checks aside. */
export function untilQuiet({ global, east, west }: Federation): Promise<number> {
  const sides = [global.rest, east.zone.rest, west.zone.rest];
  const sent = () => Promise.all(sides.map((rest) => responsesSent(rest)));
  return until("end of messages", async () => {
    const before = await sent();
    await pause(WINDOW_MS);
    const messages = (await sent()).map((now, i) => now - before[i]!);
    return messages.every((count) => count * 1_000 < WINDOW_MS) || `${messages} in a while`;
  }, STORM_MS);
}

/** Over all types, or of one. */
export async function responsesSent(rest: Rest, type = ""): Promise<number> {
  const text = await (await fetch(`${rest.address}/metrics`)).text();
  return text.split("\n").filter((line) =>
    line.startsWith("kds_delta_responses_sent{") && (type === "" || line.includes(`"${type}"`))
  ).reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** What a control plane holds of some kinds: nothing may be missing later. */
export async function namesIn(
  { rest }: Pick<Zone, "rest">,
  kinds: readonly string[],
): Promise<Set<string>> {
  const all = KINDS.filter(({ name }) => kinds.includes(name));
  const items = await Promise.all(all.map((kind) => itemsOf(rest, kind)));
  return new Set(items.flat().map(({ kri }) => kri));
}
