// One run: a world, what happens in it, then everything healed, at rest, idle, and empty again.

import type { Tree } from "../actors/runtime/tree.ts";
import { isLocal } from "../kds/filter.ts";
import { everyCheck } from "./checks/mod.ts";
import type { ControlPlane } from "./control_plane.ts";
import { mesh } from "../tests/system/zone_edits.ts";
import { REST } from "./rest.ts";
import { actOf, type Step } from "./steps.ts";
import { Violation, World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly zones: number;
  readonly global: boolean;
  readonly seconds: number;
  readonly steps: readonly Step[];
  /** Share of runs in which a place of bad luck is active; 0: none. */
  readonly bad: number;
  readonly readable?: boolean;
  /** Ends when the last step is done, whatever is broken then. */
  readonly unhealed?: boolean;
  readonly unreachableZoneAfter?: string;
  readonly around?: (tree: Tree, where: ControlPlane, world: World) => Tree;
}

export interface Outcome {
  readonly violation: Violation | null;
  readonly hash: string;
  readonly lastDraw: number;
  readonly virtualMs: number;
  readonly turns: number;
  readonly world: World;
  /** From healing to a state in which every check holds. */
  readonly convergedMs: number | null;
}

/** Everybody has found everybody. */
const SETUP_MS = 2_000;
/** After healing: backoffs, keepalives and departures included. */
const CONVERGED_MS_MAX = 120_000;
const LOOK_AGAIN_MS = 5_000;
/** A proxy's departure, a certificate's switch, an insight's flush: what follows by itself. */
const QUIET_MS = 40_000;
const IDLE_MS = 60_000;
/** Last, virtual IPs are released, of services whose proxies vanished when all was well already. */
const RELEASE_MS = 40_000;
/** In which an idle world may do this much: health checks of its zones, and what they cause. */
const IDLE_TURNS_A_MINUTE = 60;
const IDLE_COMMITS_A_MINUTE = 12;

export function run(options: RunOptions): Outcome {
  const world = new World({
    seed: options.seed,
    zones: options.zones,
    global: options.global,
    bad: options.bad,
    checks: everyCheck,
    ...(options.unreachableZoneAfter && { unreachableZoneAfter: options.unreachableZoneAfter }),
    ...(options.readable && { readable: true }),
    ...(options.around && { around: options.around }),
  });
  let violation: Violation | null = null;
  let convergedMs: number | null = null;
  try {
    world.write(world.writer, [
      { op: "put", resource: mesh("default") },
      { op: "put", resource: mesh("other") },
    ]);
    world.luck.healed = true;
    world.run(SETUP_MS);
    world.luck.healed = false;
    const baseline = sizesOf(world);
    for (const step of options.steps) world.agenda.after(step.atMs, () => take(world, step));
    world.run(options.seconds * 1_000);
    if (!options.unhealed) {
      convergedMs = converge(world);
      idle(world);
      empty(world, baseline);
    }
  } catch (error) {
    violation = error instanceof Violation ? error : new Violation(
      "the simulator",
      (error as Error).stack ?? String(error),
      world.nowMs,
    );
  }
  return {
    violation,
    hash: world.hash,
    lastDraw: world.dice.process.last,
    virtualMs: world.nowMs,
    turns: world.planes.reduce((sum, { turns }) => sum + turns, 0),
    world,
    convergedMs,
  };
}

function take(world: World, step: Step): void {
  world.count(`step ${step.verb}`);
  world.note("plan", () => `${step.verb} ${step.of} ${JSON.stringify(step.with)}`, true);
  world.journal.text(step.verb);
  actOf(step.verb).run(world, step);
}

/** Returns how long it took; throws what still does not hold after the longest time. */
function converge(world: World, quietMs = QUIET_MS): number {
  world.note("plan", () => "heals", true);
  world.heal();
  const healedAtMs = world.nowMs;
  world.run(quietMs);
  for (;;) {
    const wrong = world.unrest();
    const passedMs = world.nowMs - healedAtMs;
    if (!wrong) return passedMs;
    if (passedMs >= CONVERGED_MS_MAX) {
      throw new Violation(
        wrong.check,
        `${Math.round(passedMs / 1_000)} s after everything was healed: ${wrong.message}`,
        world.nowMs,
      );
    }
    world.run(LOOK_AGAIN_MS);
  }
}

/** Nothing happens any more, so nothing is done. */
function idle(world: World): void {
  world.run(RELEASE_MS);
  const before = activityOf(world);
  // Who is refused, such as a proxy of a mesh that is not there, comes back every few seconds.
  const refused = [...world.envoys.values()].filter(({ running, end }) => running && !end).length;
  world.run(IDLE_MS);
  const after = activityOf(world);
  for (const [what, count] of after) {
    const done = count - (before.get(what) ?? 0);
    const zones = world.zones.length + 1;
    const most = what === "commits"
      ? IDLE_COMMITS_A_MINUTE * zones
      : IDLE_TURNS_A_MINUTE * (zones + refused);
    if (done > most) {
      throw new Violation("idle worlds rest", `${done} ${what} in an idle minute`, world.nowMs);
    }
  }
}

function activityOf(world: World): ReadonlyMap<string, number> {
  return new Map([
    ["turns", world.planes.reduce((sum, { turns }) => sum + turns, 0)],
    ["commits", world.planes.reduce((sum, { disk }) => sum + disk.commits, 0)],
  ]);
}

/** Everybody goes; what is left is what was there before they came. */
export function empty(world: World, baseline: ReadonlyMap<string, number>): void {
  world.note("plan", () => "everybody goes", true);
  for (const envoy of world.envoys.values()) envoy.stop("close");
  for (const id of world.envoys.keys()) {
    if (id.includes("/stored-")) {
      actOf("byhand").run(world, { atMs: 0, verb: "byhand", of: id, with: { gone: true } });
    }
  }
  const writer = world.writer;
  const policies = ["TrafficPermission", "TrafficRoute"].flatMap((type) =>
    writer.disk.image.list(type)
  );
  for (const { type, mesh: within, name } of policies) {
    world.write(writer, [{ op: "delete", key: { type, mesh: within, name } }]);
  }
  for (const zone of world.zones) {
    const own = zone.disk.image.list("MeshTimeout").filter((one) => isLocal(one, "zone"));
    for (const { type, mesh: within, name } of own) {
      world.write(zone, [{ op: "delete", key: { type, mesh: within, name } }]);
    }
  }
  for (const { name } of writer.disk.image.list("Mesh")) {
    if (!name.startsWith(REST)) continue;
    actOf("rest").run(world, { atMs: 0, verb: "rest", of: name, with: { how: "delete" } });
  }
  world.write(writer, [
    { op: "put", resource: mesh("default") },
    { op: "put", resource: mesh("other") },
  ]);
  world.run(QUIET_MS);
  const wrong = world.unrest();
  if (wrong) throw wrong;
  for (const [what, size] of sizesOf(world)) {
    const was = baseline.get(what) ?? 0;
    if (size > was) {
      throw new Violation(
        "tables are back to where they began",
        `${what} is ${size}, and was ${was} before anybody came`,
        world.nowMs,
      );
    }
  }
}

/** Tables that grow with what comes, by actor and name. */
const TABLES = [
  "subscribers",
  "streams",
  "probes",
  "proxies",
  "parked",
  "parts",
  "services",
  "dataplanes",
  "waiting",
  "committing",
  "incomplete",
  "holders",
  "queued",
];

export function sizesOf(world: World): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, kernel, ads, kdsServer, unanswered } of world.planes) {
    const actors = kernel?.actors() ?? [];
    sizes.set(`${name}: actors`, actors.length);
    sizes.set(`${name}: streams of proxies`, ads?.streams ?? 0);
    sizes.set(`${name}: streams of health`, ads?.health.streams ?? 0);
    sizes.set(`${name}: streams of zones`, kdsServer?.streams ?? 0);
    sizes.set(`${name}: questions about Envoys`, kdsServer?.questions ?? 0);
    sizes.set(`${name}: unanswered questions`, unanswered);
    for (const { path, summary, depth } of actors) {
      sizes.set(`${name}: mailbox of ${path}`, depth);
      for (const table of TABLES) {
        const size = summary[table];
        if (typeof size === "number") sizes.set(`${name}: ${table} of ${path}`, size);
      }
    }
  }
  return sizes;
}
