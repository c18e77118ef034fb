// Nobody stays or comes in with a token that its control plane's store has something against, and
// nobody is kept out whose token is good.

import assert from "node:assert/strict";
import type { ControlPlane } from "../control_plane.ts";
import { isAboutToken } from "../tokens.ts";
import type { Check, World } from "../world.ts";
import { calmOf } from "./calm.ts";

/** Longer than a control plane takes to end a stream, or not to let it in. */
const ENDED_MS = 3_000;
const CLOCK_MS = 2_000;
const SYNC: ReadonlySet<string> = new Set(["global_to_zone", "zone_to_global"]);

interface Open {
  readonly stream: string;
  readonly who: string;
  readonly authorization: string | null;
  readonly sinceMs: number;
  /** What speaks against letting it in now. */
  fault(): string | null;
}

export function tokensAreGood(world: World): Check {
  const calm = calmOf(world);
  /** Streams that came in with what was no good at that moment. */
  const bad = new Map<ControlPlane, Map<string, string>>();
  const seen = new Map<ControlPlane, Set<string>>();
  /** When a store's secrets last changed. */
  const changedAtMs = new Map<ControlPlane, number>();
  const look = (plane: ControlPlane): void => {
    const [known, refused] = [seen.get(plane) ?? new Set(), bad.get(plane) ?? new Map()];
    const [still, open] = [new Set<string>(), [...openOf(world, plane)]];
    const isCalm = calm.is(plane) && world.nowMs - plane.clock.sinceMs > ENDED_MS;
    const secretsMs = changedAtMs.get(plane) ?? 0;
    for (const one of open) {
      still.add(one.stream);
      if (!known.has(one.stream)) {
        const fault = one.fault();
        if (fault !== null) refused.set(one.stream, fault);
      }
      if (!isCalm || world.nowMs - one.sinceMs < ENDED_MS) continue;
      const came = refused.get(one.stream);
      assert(came === undefined, `${one.who} was let in by ${plane.name}, though ${came}`);
      if (world.nowMs - secretsMs < ENDED_MS || one.authorization === null) continue;
      const now = world.tokens.withdrawn(plane, one.authorization);
      assert(now === null, `${one.who} still has a stream of ${plane.name}, though ${now}`);
    }
    seen.set(plane, still);
    for (const stream of refused.keys()) if (!still.has(stream)) refused.delete(stream);
    bad.set(plane, refused);
  };
  return {
    name: "tokens are good",
    started(plane) {
      changedAtMs.set(plane, world.nowMs);
      bad.delete(plane);
      seen.delete(plane);
    },
    committed(plane, { changes }) {
      if (!changes.some(({ key: { type } }) => type === "Secret" || type === "GlobalSecret")) {
        return;
      }
      changedAtMs.set(plane, world.nowMs);
    },
    tick() {
      calm.tick();
      for (const plane of world.planes) if (plane.kernel) look(plane);
    },
    atRest() {
      for (const { running, end, ended, token, options, text } of world.envoys.values()) {
        if (!running || end || !isAboutToken(ended?.code)) continue;
        const zone = world.zone(options.server.name);
        const fault = world.tokens.fault(zone, token, options.key, zone.nowMs);
        assert(fault !== null, `${text} of ${zone.name} is refused: ${ended!.message}`);
      }
    },
  };
}

function* openOf(world: World, plane: ControlPlane): Iterable<Open> {
  const { tokens } = world;
  // By the clock of the process, and a little before, since that goes at a rate of its own.
  const cameMs = (sinceMs: number) => plane.nowMs - (world.nowMs - sinceMs) - CLOCK_MS;
  if (plane === world.global) {
    for (const [stream, { kind, zone, authorization, sinceMs }] of plane.kdsServer!.admitted()) {
      if (!SYNC.has(kind)) continue;
      const who = `zone ${zone}`;
      const holder = { type: "cp", zone } as const;
      const fault = () => tokens.fault(plane, authorization, holder, cameMs(sinceMs));
      yield { stream, who, authorization, sinceMs, fault };
    }
    return;
  }
  for (const [stream, { nodeId, key, authorization, sinceMs }] of plane.ads!.open()) {
    const fault = () => tokens.fault(plane, authorization, key, cameMs(sinceMs));
    yield { stream, who: nodeId, authorization, sinceMs, fault };
  }
}
