// What a scenario expects, as sentences: looked at again and again until true, or too late.

import type { JsonObject, Resource } from "../core/resource.ts";
import { isEnabled, type ZoneSpec } from "../core/zone.ts";
import type { UplinkStatus } from "../actors/uplink/messages.ts";
import type { PeersStatus } from "../actors/peers/messages.ts";
import { actorOf } from "./checks/scratch.ts";
import { durationMs } from "./duration.ts";
import { zonePath } from "../actors/zone/messages.ts";
import type { Step } from "./steps.ts";
import type { Figure, World } from "./world.ts";

/** True, or what is in the way. */
type Verdict = true | string;

interface Sentence {
  readonly form: string;
  readonly pattern: RegExp;
  judge(world: World, words: readonly string[]): Verdict;
  /** Of what had to stay: the longest time seen. */
  readonly measured?: (world: World) => number;
}

const LOOK_MS = 20;
/** Looks at what must stay true for a long time. */
const LOOKS_MAX = 3_000;

const SENTENCES: readonly Sentence[] = [
  {
    form: "converged",
    pattern: /^converged$/,
    judge: (world) => {
      const wrong = world.unrest();
      return wrong === null || `${wrong.check}: ${wrong.message}`;
    },
  },
  {
    form: "in sync",
    pattern: /^in sync$/,
    judge: (world) => {
      const wrong = world.unrest("zones and global agree");
      return wrong === null || wrong.message;
    },
  },
  {
    form: "zone ZONE online|offline",
    pattern: /^zone (\S+) (online|offline)$/,
    judge: (world, [zone, wanted]) => {
      const is = presenceOf(world, zone!);
      return is === wanted || `global says that ${zone} is ${is}`;
    },
  },
  {
    form: "every zone online|offline",
    pattern: /^every zone (online|offline)$/,
    judge: (world, [wanted]) => {
      const others = world.zones.filter(({ name }) => presenceOf(world, name) !== wanted);
      return others.length === 0 || `not so: ${others.map(({ name }) => name).join(" ")}`;
    },
  },
  {
    form: "ZONE connected|alone|held|free",
    pattern: /^(\S+) (connected|alone|held|free)$/,
    judge: (world, [zone, wanted]) => {
      const summary = world.zone(zone!).kernel?.actors().find(({ path }) => path === "uplink")
        ?.summary as unknown as UplinkStatus | undefined;
      if (!summary) return `${zone} does not run`;
      const is = {
        connected: summary.connected,
        alone: !summary.connected,
        held: summary.held !== null,
        free: summary.held === null,
      };
      return is[wanted as keyof typeof is] || `it is not: ${JSON.stringify(summary)}`;
    },
  },
  {
    form: "no zone away for over TIME",
    pattern: /^no zone away for over (\S+)$/,
    judge: (world, [time]) => {
      const { nowMs, seenOnline } = world;
      const away: string[] = [];
      for (const { name } of world.zones) {
        if (!seenOnline.has(name) || presenceOf(world, name) === "online") {
          seenOnline.set(name, nowMs);
        }
        const awayMs = nowMs - seenOnline.get(name)!;
        world.awayMsMax = Math.max(world.awayMsMax, awayMs);
        if (awayMs > durationMs(time!)!) away.push(`${name} for ${awayMs} ms`);
      }
      return away.length === 0 || away.join(", ");
    },
    measured: ({ awayMsMax }) => Math.round(awayMsMax),
  },
  {
    form: "zone ZONE claimed twice|once",
    pattern: /^zone (\S+) claimed (twice|once)$/,
    judge: (world, [zone, wanted]) => {
      const insight = world.global?.disk.image.get({ type: "ZoneInsight", mesh: "", name: zone! });
      const { alarm } = (insight?.spec["ursa"] ?? {}) as JsonObject;
      const is = alarm === undefined ? "once" : "twice";
      return is === wanted || `its alarm: ${alarm}`;
    },
  },
  {
    form: "every proxy of ZONE connected",
    pattern: /^every proxy of (\S+) connected$/,
    judge: (world, [zone]) => {
      const away = world.envoysOf(zone!).filter(({ running, end }) => running && !end);
      return away.length === 0 || `not connected: ${away.map(({ text }) => text).join(", ")}`;
    },
  },
  {
    form: "N open subscriptions of ZONE",
    pattern: /^(\d+) open subscriptions? of (\S+)$/,
    judge: (world, [count, zone]) => {
      const insight = world.global?.disk.image.get({ type: "ZoneInsight", mesh: "", name: zone! });
      const all = (insight?.spec["subscriptions"] ?? []) as readonly JsonObject[];
      const open = all.filter((one) => one["disconnectTime"] === undefined);
      return open.length === Number(count) || `there are ${open.length} of ${all.length}`;
    },
  },
  {
    form: "ZONE tells since when it is alone",
    pattern: /^(\S+) tells since when it is alone$/,
    judge: (world, [zone]) => {
      const insight = world.zone(zone!).disk.image.get({
        type: "ZoneInsight",
        mesh: "",
        name: zone!,
      });
      const last = (insight?.spec["subscriptions"] as JsonObject[] | undefined)?.at(-1);
      return typeof last?.["disconnectTime"] === "string" || `it says ${JSON.stringify(last)}`;
    },
  },
  {
    form: "PROCESS refused",
    pattern: /^(\S+) refused$/,
    judge: (world, [process]) => {
      const uplink = world.plane(process!).kernel?.actors().find(({ path }) => path === "uplink");
      const { lastError } = (uplink?.summary ?? {}) as unknown as UplinkStatus;
      const isRefusal = /^(FAILED_PRECONDITION|PERMISSION_DENIED|UNAUTHENTICATED)/;
      return isRefusal.test(lastError ?? "") || `its last error: ${lastError}`;
    },
  },
  {
    form: "ZONE hears ZONE|nobody",
    pattern: /^(\S+) hears (\S+)$/,
    judge: (world, [zone, other]) => {
      const summary = world.zone(zone!).kernel?.actors().find(({ path }) => path === "peers")
        ?.summary as unknown as PeersStatus | undefined;
      const heard = summary?.peers.filter(({ hears }) => hears).map(({ zone }) => zone) ?? [];
      const is = other === "nobody" ? heard.length === 0 : heard.includes(other!);
      return is || `it hears ${heard.join(", ") || "nobody"}: ${JSON.stringify(summary?.peers)}`;
    },
  },
  {
    form: "N endpoints of SERVICE for ZONE/MESH/PROXY",
    pattern: /^(\d+) endpoints? of (\S+) for (\S+)$/,
    judge: (world, [count, service, proxy]) => {
      const found = world.envoys.get(proxy!)?.endpoints(service!) ?? [];
      return found.length === Number(count) || `there are ${found.length}: ${found.join(" ")}`;
    },
  },
  {
    form: "N TYPEs in PROCESS",
    pattern: /^(\d+) (\w+?)e?s? in (\S+)$/,
    judge: (world, [count, type, process]) => {
      const found = listed(world, process!, type!);
      return found.length === Number(count) ||
        `there are ${found.length}: ${found.map(({ name }) => name).join(" ").slice(0, 200)}`;
    },
  },
  {
    form: "Zone NAME enabled|disabled|unknown",
    pattern: /^Zone (\S+) (enabled|disabled|unknown)$/,
    judge: (world, [name, wanted]) => {
      const found = world.global?.disk.image.get({ type: "Zone", mesh: "", name: name! });
      const enabled = found && isEnabled(found.spec as ZoneSpec) ? "enabled" : "disabled";
      const is = found ? enabled : "unknown";
      return is === wanted || `it is ${is}`;
    },
  },
  {
    form: "N certificates valid in ZONE",
    pattern: /^(\d+) certificates? valid in (\S+)$/,
    judge: (world, [count, zone]) => {
      const plane = world.zone(zone!);
      const valid = world.envoysOf(zone!).filter(({ options: { key } }) => {
        const expiresAtMs = actorOf(plane, key)?.identity?.expiresAtMs ?? 0;
        return expiresAtMs > plane.nowMs;
      });
      return valid.length === Number(count) || `there are ${valid.length}`;
    },
  },
  {
    form: "nothing deleted in PROCESS",
    pattern: /^nothing deleted in (\S+)$/,
    judge: (world, [process]) => {
      const gone = world.deleted.get(process!) ?? [];
      return gone.length === 0 || `deleted since the last mark: ${gone.slice(0, 10).join(", ")}`;
    },
  },
  {
    form: "N in quarantine of ZONE",
    pattern: /^(\d+) in quarantine of (\S+)$/,
    judge: (world, [count, zone]) => {
      const uplink = world.zone(zone!).kernel?.actors().find(({ path }) => path === "uplink");
      const { refused = {} } = (uplink?.summary ?? {}) as Partial<UplinkStatus>;
      const all = Object.values(refused) as { readonly count: number }[];
      const sum = all.reduce((sum, { count }) => sum + count, 0);
      return sum === Number(count) || `there are ${sum}: ${JSON.stringify(refused)}`;
    },
  },
  {
    form: "zone ZONE has all of TYPE | zone ZONE lacks of TYPE",
    pattern: /^zone (\S+) (has all|lacks) of (\w+)$/,
    judge: (world, [zone, wanted, type]) => {
      const insight = world.global?.disk.image.get({ type: "ZoneInsight", mesh: "", name: zone! });
      const { rejected = {} } = (insight?.spec["ursa"] ?? {}) as Pick<UplinkStatus, "rejected">;
      const is = rejected[type!] === undefined ? "has all" : "lacks";
      return is === wanted || `its insight says: ${JSON.stringify(rejected)}`;
    },
  },
  {
    form: "at most N bytes wait for PROCESS",
    pattern: /^at most (\d+) bytes wait for (\S+)$/,
    judge: (world, [count, process]) => {
      const waiting = world.network.waiting(process!);
      return waiting <= Number(count) || `there are ${waiting}`;
    },
  },
  {
    form: "at most N deletions in PROCESS",
    pattern: /^at most (\d+) deletions in (\S+)$/,
    judge: (world, [count, process]) => {
      const gone = world.deleted.get(process!) ?? [];
      return gone.length <= Number(count) || `there were ${gone.length}: ${gone.join(", ")}`;
    },
  },
  {
    form: "N gone from PROCESS",
    pattern: /^(\d+) gone from (\S+)$/,
    judge: (world, [count, process]) => {
      const gone = world.deleted.get(process!) ?? [];
      return gone.length === Number(count) || `deleted since the last mark: ${gone.join(", ")}`;
    },
  },
  {
    form: "global has all of TYPE of ZONE | global lacks of TYPE of ZONE",
    pattern: /^global (has all|lacks) of (\w+) of (\S+)$/,
    judge: (world, [wanted, type, zone]) => {
      const uplink = world.zone(zone!).kernel?.actors().find(({ path }) => path === "uplink");
      const { rejected = {} } = (uplink?.summary ?? {}) as Partial<UplinkStatus>;
      const is = rejected[type!] === undefined ? "has all" : "lacks";
      return is === wanted || `${zone} says: ${JSON.stringify(rejected)}`;
    },
  },
  {
    form: "at most N commits in PROCESS",
    pattern: /^at most (\d+) commits in (\S+)$/,
    judge: (world, [count, process]) => {
      const { commits } = world.plane(process!).disk;
      const since = commits - (world.marks.get(process!) ?? 0);
      return since <= Number(count) || `there were ${since} since the last mark`;
    },
  },
  {
    form: "at most N lines of trouble in PROCESS",
    pattern: /^at most (\d+) lines of trouble in (\S+)$/,
    judge: (world, [count, process]) => {
      const lines = world.troubles.get(process!) ?? [];
      return lines.length <= Number(count) ||
        `there were ${lines.length} since the last mark, the last of them: ${lines.at(-1)}`;
    },
  },
  {
    form: "at most N responses of TYPE to ZONE",
    pattern: /^at most (\d+) responses of (\w+) to (\S+)$/,
    judge: (world, [count, type, zone]) => {
      const since = world.responses.get(`${zone} ${type}`) ?? 0;
      return since <= Number(count) || `there were ${since} since the last mark`;
    },
  },
];

/** As its actor knows and its insight shows, both. */
function presenceOf({ global }: World, zone: string): "online" | "offline" | "in between" {
  const actor = global?.kernel?.peek(zonePath(zone)) as ZoneSeen | undefined;
  const insight = global?.disk.image.get({ type: "ZoneInsight", mesh: "", name: zone });
  const last = (insight?.spec["subscriptions"] as JsonObject[] | undefined)?.at(-1);
  const shown = last !== undefined && last["disconnectTime"] === undefined;
  const [down, up] = [actor?.down?.subscription, actor?.up];
  if (shown && down && up && last["id"] === down.id) return "online";
  return !shown && !down && !up ? "offline" : "in between";
}

/** What may be known of a zone's actor on global. */
interface ZoneSeen {
  readonly down: { readonly subscription: { readonly id: string } | null } | null;
  readonly up: unknown;
}

function listed(world: World, process: string, type: string): readonly Resource[] {
  const { image } = world.plane(process).disk;
  // `Policies` and `Meshes` lose an e that they had.
  const exact = image.list(type);
  return exact.length > 0 ? exact : image.list(`${type}e`);
}

/** From now on, what is counted is counted anew. */
export function mark(world: World): void {
  world.deleted.clear();
  world.responses.clear();
  world.troubles.clear();
  for (const { name, disk } of world.planes) world.marks.set(name, disk.commits);
}

export function expect(world: World, { of, with: { within = 0, for: forMs = 0 } }: Step): void {
  const sentence = SENTENCES.find(({ pattern }) => pattern.test(of));
  if (!sentence) {
    const forms = SENTENCES.map(({ form }) => form).join("; ");
    throw new Error(`"${of}" is nothing that can be expected; that would be: ${forms}`);
  }
  const words = sentence.pattern.exec(of)!.slice(1);
  const fromMs = world.nowMs;
  const look = (): void => {
    const verdict = sentence.judge(world, words);
    const passedMs = Math.round(world.nowMs - fromMs);
    if (verdict === true) {
      const figure = { what: of, ms: passedMs, withinMs: Number(within), forMs: Number(forMs) };
      world.figures.push(figure);
      world.note("expect", () => `${of}: after ${passedMs} ms`, true);
      return stays(world, figure, { sentence, words });
    }
    if (passedMs >= Number(within)) {
      return world.violate("scenario", `${of} within ${within} ms: ${verdict}`);
    }
    world.agenda.after(Math.min(LOOK_MS, Number(within)), look);
  };
  look();
}

/** And is so at each look, for as long as it was said. */
function stays(
  world: World,
  figure: Figure,
  { sentence, words }: { readonly sentence: Sentence; readonly words: readonly string[] },
): void {
  const { what, forMs } = figure;
  const untilMs = world.nowMs + forMs;
  const look = (): void => {
    const is = sentence.judge(world, words);
    if (is !== true) return world.violate("scenario", `${what} no more: ${is}`);
    if (world.nowMs < untilMs) {
      return world.agenda.after(Math.max(LOOK_MS, forMs / LOOKS_MAX), look);
    }
    if (sentence.measured) figure.mostMs = sentence.measured(world);
  };
  if (forMs > 0) look();
}
