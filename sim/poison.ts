// What cannot be applied, as it comes about in a simulated world.

import { draftOf } from "../tests/system/zone_edits.ts";
import type { Step } from "./steps.ts";
import type { World } from "./world.ts";

const FOREVER_MS = 1e9;

/** A zone cannot read what has this text in it, as if global were of another version. */
export function garble(world: World, { of, with: { text = "" } }: Step): void {
  world.zone(of).quirks.garbled = String(text);
}

/** A zone rejects every response of a type. */
export function refuse(world: World, { of, with: { type = "", for: forMs = FOREVER_MS } }: Step) {
  const { refused } = world.zone(of).quirks;
  refused.add(String(type));
  world.agenda.after(Number(forMs), () => refused.delete(String(type)));
}

/** A Secret, which both sides may write: `PROCESS/MESH/NAME`. */
export function writeSecret(world: World, { of, with: { gone = false } }: Step): void {
  const [process, mesh, name] = of.split("/") as [string, string, string];
  const key = { type: "Secret", mesh, name };
  const resource = draftOf({ ...key, data: btoa(process) });
  world.write(world.plane(process), [gone ? { op: "delete", key } : { op: "put", resource }]);
}
