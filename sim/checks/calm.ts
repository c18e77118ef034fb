// Whether a process had time and a disk to do what it should have done by now.

import type { ControlPlane } from "../control_plane.ts";
import type { World } from "../world.ts";

/** A disk that was in trouble may do late what was right when it was asked. */
const LATE_MS = 20_000;

export interface Calm {
  /** Every virtual second. */
  tick(): void;
  is(plane: ControlPlane): boolean;
}

export function calmOf(world: World): Calm {
  const busyAtMs = new Map<ControlPlane, number>();
  const restarts = new Map<ControlPlane, number>();
  return {
    tick() {
      for (const plane of world.planes) {
        const isNew = restarts.get(plane) !== plane.restarts;
        restarts.set(plane, plane.restarts);
        if (isNew || !plane.kernel || plane.site.paused) busyAtMs.set(plane, world.nowMs);
      }
    },
    is: (plane) =>
      world.nowMs - Math.max(plane.disk.troubledAtMs, busyAtMs.get(plane) ?? 0) > LATE_MS,
  };
}
