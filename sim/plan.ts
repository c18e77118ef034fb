// What happens in a run of the default mix: drawn from the seed before anything starts, so that steps
// can be left out without changing the others.

import { Dice } from "./dice.ts";
import { poisonSteps } from "./poison_plan.ts";
import { restSteps } from "./rest_plan.ts";
import type { Step, Verb, With } from "./steps.ts";
import { REVOKED } from "./token_steps.ts";
import { FLAWS } from "./tokens.ts";
import { GLOBAL, zoneNames } from "./world.ts";

export interface Mix {
  readonly zones: number;
  /** In each zone. */
  readonly proxies: number;
  readonly seconds: number;
  readonly global: boolean;
  /** Steps of work in a second, over all zones, after everybody has started. */
  readonly work: number;
  /** Faults in a run, at most. */
  readonly faults: number;
}

/** The largest that is drawn; what a line of seeds.txt and a test mean when they say nothing else. */
export const DEFAULT_MIX: Mix = {
  zones: 3,
  proxies: 10,
  seconds: 30,
  global: true,
  work: 2,
  faults: 8,
};

/**
 * Worlds of many sizes find more than large ones alone: little happens twice at once in a large one, and
 * in a small one what happens concerns everybody.
 */
export function mixOf(seed: number): Mix {
  const dice = new Dice(seed, "mix");
  const alone = dice.chance(0.1);
  return {
    zones: alone ? 1 : dice.pick([1, 2, 2, 3]),
    proxies: dice.skewed(2, DEFAULT_MIX.proxies),
    seconds: dice.skewed(5, DEFAULT_MIX.seconds),
    global: !alone,
    work: dice.pick([1, 2, 4]),
    faults: DEFAULT_MIX.faults,
  };
}

const SERVICES = ["web", "backend", "billing", "only"];
/** An answer about it does not fit into a datagram without EDNS. */
const LONG_SERVICE = Array.from({ length: 4 }, () => `${"long".repeat(14)}er`).join(".");
const START_MS = 1_500;
const PARTS = ["hub", "meshes/", "identity", "insights", "proxies", "dataplanes/", "receipts"];
const GLOBAL_PARTS = ["hub", "identity", "global", "zones/", "receipts"];

export function planOf(seed: number, mix: Mix): readonly Step[] {
  const world = new Planner(mix, new Dice(seed, "workload"));
  world.beginning();
  const faults = new Planner(mix, new Dice(seed, "faults"));
  const durationMs = mix.seconds * 1_000;
  const works = Math.round(mix.work * mix.seconds);
  for (let n = 0; n < works; n++) world.work(world.dice.between(START_MS, durationMs));
  // A few runs without any: what goes wrong there is easy to read.
  const count = faults.dice.chance(0.1) ? 0 : Math.round(faults.dice.between(0, mix.faults));
  for (let n = 0; n < count; n++) faults.fault(faults.dice.between(START_MS, durationMs * 0.9));
  const all = [...world.steps, ...faults.steps, ...poisonSteps(seed, mix), ...restSteps(seed, mix)];
  return all.sort((a, b) => a.atMs - b.atMs);
}

class Planner {
  readonly steps: Step[] = [];
  readonly dice: Dice;
  readonly #mix: Mix;
  readonly #zones: readonly string[];
  readonly #meshes: readonly string[];
  readonly #proxies: readonly string[];

  constructor(mix: Mix, dice: Dice) {
    this.#mix = mix;
    this.dice = dice;
    this.#zones = zoneNames(mix.zones);
    this.#meshes = ["default", "other"];
    this.#proxies = this.#zones.flatMap((zone) =>
      Array.from({ length: mix.proxies }, (_, n) => {
        const mesh = n % 3 === 2 ? "other" : "default";
        const service = SERVICES[n % SERVICES.length]!;
        const named = service === "only" ? `only-${mesh}` : service;
        return `${zone}/${mesh}/${named}-${Math.floor(n / SERVICES.length) + 1}`;
      })
    );
  }

  /** Everybody is there, more or less at once. */
  beginning(): void {
    const { dice } = this;
    for (const mesh of this.#meshes) {
      const mtls = dice.chance(0.6) ? ["ca-1"] : [];
      this.#add(0, "mesh", mesh, { mtls, ...(dice.chance(0.3) && { locality: true }) });
      if (dice.chance(0.8)) this.#add(10, "policy", `${mesh}/everybody`, {});
    }
    for (const proxy of this.#proxies) {
      if (dice.chance(0.9)) this.#start(dice.between(20, START_MS), proxy);
    }
    for (const zone of this.#zones) {
      this.#add(dice.between(20, START_MS), "ingress", `${zone}/gate-1`, this.#dialect());
    }
  }

  work(atMs: number): void {
    const { dice } = this;
    const proxy = dice.pick(this.#proxies);
    const mesh = dice.pick(this.#meshes);
    const zone = dice.pick(this.#zones);
    const kind = dice.pick(WORK);
    switch (kind) {
      case "start":
        return this.#start(atMs, proxy);
      case "stop":
        return this.#add(atMs, "stop", proxy, {
          how: dice.pick(["close", "kill", "vanish", "drain", "deregister"]),
        });
      case "restart":
        this.#add(atMs, "stop", proxy, { how: dice.pick(["close", "kill", "vanish"]) });
        return this.#start(atMs + dice.durationMs(1, 3_000), proxy);
      case "reconnect":
        return this.#add(atMs, "reconnect", proxy, { silently: dice.chance(0.4) });
      case "byhand":
        return this.#add(atMs, "byhand", `${zone}/${mesh}/stored-${dice.pick([1, 2])}`, {
          service: dice.chance(0.2) ? LONG_SERVICE : dice.pick(SERVICES.slice(0, 3)),
          gone: dice.chance(0.3),
          ...this.#dialect(),
        });
      case "policy":
        return this.#policy(atMs, mesh);
      case "mesh":
        return this.#mesh(atMs, mesh);
      case "zone":
        return this.#zone(atMs, zone);
      case "ingress":
        if (dice.chance(0.5)) {
          return this.#add(atMs, "ingress", `${zone}/gate-${dice.pick([1, 2])}`, this.#dialect());
        }
        return this.#add(atMs, "stop", `${zone}/gate-${dice.pick([1, 2])}`, {
          how: dice.pick(["close", "vanish"]),
        });
      case "token":
        return this.#token(atMs, proxy, zone);
      case "inquire":
        return this.#add(atMs, "inquire", proxy, {});
      case "health":
        return this.#add(atMs, "health", proxy, { for: dice.durationMs(10, 30_000) });
      case "rotate":
        return this.#add(atMs, "rotate", this.#mix.global && dice.chance(0.4) ? "zones" : mesh, {
          ...(dice.chance(0.7) && { retire: dice.durationMs(10, 10_000) }),
          renew: dice.chance(0.5),
        });
      case "resolve":
        return this.#add(atMs, "resolve", zone, {
          service: dice.pick([...SERVICES, LONG_SERVICE]),
          ...(dice.chance(0.2) && { how: "nonsense" }),
        });
    }
  }

  fault(atMs: number): void {
    const { dice } = this;
    const planes = this.#mix.global ? [GLOBAL, ...this.#zones] : this.#zones;
    const plane = dice.pick(planes);
    const zone = dice.pick(this.#zones);
    const proxy = dice.pick(this.#proxies);
    const link = this.#link(zone, proxy);
    const forMs = dice.durationMs(100, 60_000);
    switch (dice.pick(FAULTS)) {
      case "kill":
        return this.#add(atMs, "kill", plane, {
          power: dice.chance(0.3),
          for: dice.durationMs(1, 10_000),
        });
      case "storm": {
        for (let n = 0; n < 4; n++) {
          this.#add(atMs + n * 1_500, "kill", plane, { for: dice.durationMs(1, 1_000) });
        }
        return;
      }
      case "gone":
        if (!this.#mix.global) return;
        return this.#add(atMs, "kill", GLOBAL, { for: dice.durationMs(3_000, 30_000) });
      case "pause":
        return this.#add(atMs, "pause", plane, { for: forMs });
      case "clock":
        return this.#add(
          atMs,
          "clock",
          plane,
          dice.chance(0.7)
            ? { by: Math.round(dice.between(-600_000, 600_000)) }
            : { rate: dice.pick([0.99, 1.01, 1.1]) },
        );
      case "cut":
        return this.#add(atMs, "cut", link, { for: forMs });
      case "flap":
        for (let n = 0; n < 5; n++) this.#add(atMs + n * 4_000, "cut", link, { for: 2_000 });
        return;
      case "lossy":
        return this.#add(atMs, "lossy", link, { share: dice.pick([0.05, 0.3]), for: forMs });
      case "slow":
        return this.#add(atMs, "slow", link, { delay: dice.pick([200, 2_000]), for: forMs });
      case "reset":
        return this.#add(atMs, "reset", link, {});
      case "disk":
        return this.#add(
          atMs,
          "disk",
          plane,
          dice.pick<With>([
            { fails: dice.pick([1, 3, 10]) },
            { doubts: dice.pick([1, 3]) },
            { stalls: dice.durationMs(100, 10_000) },
            { slow: 500, for: 5_000 },
          ]),
        );
      case "crash":
        return this.#add(atMs, "crash", plane, {
          part: dice.pick(plane === GLOBAL ? GLOBAL_PARTS : PARTS),
        });
      case "twin":
        return this.#add(atMs, "twin", proxy, { for: forMs });
      case "replace": {
        if (!this.#mix.global) return;
        const store = dice.pick(["empty", "empty", "old"]);
        this.#add(atMs, "start", GLOBAL, { store, ...(dice.chance(0.3) && { keys: "new" }) });
        this.#add(Math.max(0, atMs - dice.durationMs(1, 10_000)), "remember", GLOBAL, {});
        // A backup that has written as much as it forgot, before anybody is back.
        if (store === "old") {
          for (const name of this.#zones) {
            this.#add(atMs, "cut", `${name} - ${GLOBAL}`, { for: 3_000 });
          }
          this.#add(atMs + 1, "policies", "default", { count: 200, over: 4 });
        }
        for (const name of this.#zones) {
          this.#add(atMs + dice.durationMs(1_000, 20_000), "accept", name, {});
        }
        for (const mesh of this.#meshes) {
          this.#add(atMs + dice.durationMs(1, 10_000), "mesh", mesh, { mtls: ["ca-1"] });
        }
        return;
      }
      case "nack":
        return this.#add(atMs, "nack", proxy, { for: forMs });
      case "idle":
        return this.#add(atMs, "idle", dice.chance(0.5) ? zone : proxy, {
          delay: dice.pick([50, 1_000]),
          for: forMs,
        });
      case "warm":
        return this.#add(atMs, "warm", proxy, { delay: dice.pick([20, 1_000]) });
      case "garbage":
        return this.#add(atMs, "garbage", dice.chance(0.5) ? zone : proxy, {
          how: dice.pick(["malformed", "stale", "from global", "oversize"]),
        });
    }
  }

  #link(zone: string, proxy: string): string {
    const { dice } = this;
    const [a, b] = !this.#mix.global || dice.chance(0.3)
      ? [proxy, proxy.split("/")[0]!]
      : [zone, this.#zones.length > 1 && dice.chance(0.15) ? this.#other(zone) : GLOBAL];
    const [from, to] = dice.chance(0.5) ? [a, b] : [b, a];
    return dice.chance(0.5) ? `${a} - ${b}` : `${from} > ${to}`;
  }

  #other(zone: string): string {
    return this.dice.pick(this.#zones.filter((name) => name !== zone));
  }

  #start(atMs: number, proxy: string): void {
    const { dice } = this;
    const mesh = proxy.split("/")[1]!;
    const uses = [...SERVICES.slice(0, 3), `only-${mesh}`].filter(() => dice.chance(0.4));
    this.#add(atMs, "proxy", proxy, {
      ...this.#dialect(),
      ...(dice.chance(0.2) && { port: 8081 }),
      ...(dice.chance(0.4) && { protocol: dice.pick(["http", "tcp", "grpc"]) }),
      ...(dice.chance(0.3) && { version: dice.pick(["v1", "v2"]) }),
      ...(dice.chance(0.2) && { nameless: true }),
      ...(dice.chance(0.05) && { gateway: true }),
      ...(dice.chance(0.2) && { probed: true }),
      ...(dice.chance(0.5) && { bind: true }),
      ...(uses.length > 0 && { uses }),
    });
  }

  #policy(atMs: number, mesh: string): void {
    const { dice } = this;
    const service = dice.pick([...SERVICES.slice(0, 3), "*"]);
    this.#add(atMs, "policy", `${mesh}/${dice.pick(["one", "two"])}`, {
      kind: dice.pick(["permission", "route"]),
      from: dice.pick([...SERVICES.slice(0, 3), "*"]),
      ...(service !== "*" && { to: service }),
      weight: dice.pick([0, 20, 80]),
      zone: dice.pick(this.#zones),
      gone: dice.chance(0.3),
    });
  }

  #mesh(atMs: number, mesh: string): void {
    const { dice } = this;
    if (dice.chance(0.2)) {
      this.#add(atMs, "mesh", mesh, { gone: true });
      atMs += dice.durationMs(1, 5_000);
    }
    this.#add(atMs, "mesh", mesh, {
      mtls: dice.pick([[], ["ca-1"], ["ca-2", "ca-1"], ["ca-2"], ["ca-1", "ca-2"]]),
      locality: dice.chance(0.3),
    });
  }

  #zone(atMs: number, zone: string): void {
    const { dice } = this;
    const set = dice.pick(["disabled", "disabled", "deleted"]);
    this.#add(atMs, "zone", zone, { set });
    if (set === "disabled" && dice.chance(0.7)) {
      this.#add(atMs + dice.durationMs(10, 8_000), "zone", zone, { set: "enabled" });
    }
  }

  #token(atMs: number, proxy: string, zone: string): void {
    const { dice } = this;
    const of = this.#mix.global && dice.chance(0.3) ? zone : proxy;
    const how = dice.pick(["none", REVOKED, REVOKED, REVOKED, ...FLAWS]);
    this.#add(atMs, "token", of, { how });
  }

  #dialect(): With {
    return { dialect: this.dice.pick(["sotw", "delta"]) };
  }

  #add(atMs: number, verb: Verb, of: string, given: With): void {
    this.steps.push({ atMs: Math.round(atMs), verb, of, with: given });
  }
}

/** As often as it stands here. */
const WORK = [
  "start",
  "start",
  "start",
  "stop",
  "stop",
  "restart",
  "restart",
  "reconnect",
  "byhand",
  "policy",
  "policy",
  "mesh",
  "zone",
  "ingress",
  "token",
  "token",
  "rotate",
  "health",
  "inquire",
  "health",
  "resolve",
] as const;

const FAULTS = [
  "kill",
  "kill",
  "storm",
  "gone",
  "pause",
  "clock",
  "cut",
  "cut",
  "flap",
  "lossy",
  "slow",
  "reset",
  "disk",
  "disk",
  "crash",
  "twin",
  "replace",
  "nack",
  "idle",
  "warm",
  "garbage",
] as const;
