// What a scenario expects, as sentences: looked at again and again until true, or too late.

import type { JsonObject, Resource } from "../core/resource.ts";
import { isEnabled, type ZoneSpec } from "../core/zone.ts";
import type { UplinkStatus } from "../actors/uplink/messages.ts";
import { actorOf } from "./checks/scratch.ts";
import type { Step } from "./steps.ts";
import type { World } from "./world.ts";

/** True, or what is in the way. */
type Verdict = true | string;

interface Sentence {
  readonly form: string;
  readonly pattern: RegExp;
  judge(world: World, words: readonly string[]): Verdict;
}

const LOOK_MS = 20;

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
    form: "zone ZONE online|offline",
    pattern: /^zone (\S+) (online|offline)$/,
    judge: (world, [zone, wanted]) => {
      const insight = world.global?.disk.image.get({ type: "ZoneInsight", mesh: "", name: zone! });
      const last = (insight?.spec["subscriptions"] as JsonObject[] | undefined)?.at(-1);
      const is = last && last["disconnectTime"] === undefined ? "online" : "offline";
      return is === wanted || `global says that ${zone} is ${is}`;
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
    form: "at most N commits in PROCESS",
    pattern: /^at most (\d+) commits in (\S+)$/,
    judge: (world, [count, process]) => {
      const { commits } = world.plane(process!).disk;
      const since = commits - (world.marks.get(process!) ?? 0);
      return since <= Number(count) || `there were ${since} since the last mark`;
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
  for (const { name, disk } of world.planes) world.marks.set(name, disk.commits);
}

export function expect(world: World, { of, with: { within = 0 } }: Step): void {
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
      world.figures.push({ what: of, ms: passedMs, withinMs: Number(within) });
      return world.note("expect", () => `${of}: after ${passedMs} ms`, true);
    }
    if (passedMs >= Number(within)) {
      return world.violate("scenario", `${of} within ${within} ms: ${verdict}`);
    }
    world.agenda.after(Math.min(LOOK_MS, Number(within)), look);
  };
  look();
}
