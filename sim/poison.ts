// What cannot be applied, as it comes about in a simulated world.

import { keyText, type Resource } from "../core/resource.ts";
import { wireName } from "../kds/wire.ts";
import type { Op } from "../store/store.ts";
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

/** From its next connection on, a zone and global take each other for Kuma's. */
export function takeForKuma(world: World, { of }: Step): void {
  world.zone(of).quirks.plain = true;
  world.network.resetBetween(of, "global");
}

const OPS_PER_WRITE = 500;

/** So many insights of proxies that nobody runs, each so long, appear in a zone's store. */
export function bulk(world: World, { of, with: { count = 1_000, bytes = 1_000 } }: Step): void {
  const plane = world.zone(of);
  const ops = Array.from({ length: Number(count) }, (_, n): Op => {
    const id = `${n} `.padEnd(Number(bytes), "x");
    const disconnectTime = "2026-01-01T00:00:00Z";
    const subscriptions = [{ id, connectTime: disconnectTime, disconnectTime }];
    const key = { type: "DataplaneInsight", mesh: "default", name: `bulk-${n}` };
    return { op: "put", resource: { ...key, labels: {}, spec: { subscriptions } } };
  });
  for (let at = 0; at < ops.length; at += OPS_PER_WRITE) {
    plane.write(ops.slice(at, at + OPS_PER_WRITE), "bulk", () => {});
  }
}

/** A Secret, which both sides may write: `PROCESS/MESH/NAME`. */
export function writeSecret(world: World, { of, with: { gone = false } }: Step): void {
  const [process, mesh, name] = of.split("/") as [string, string, string];
  const key = { type: "Secret", mesh, name };
  const resource = draftOf({ ...key, data: btoa(process) });
  world.write(world.plane(process), [gone ? { op: "delete", key } : { op: "put", resource }]);
}

/**
 * Somebody alters copies of what the other side wrote, in the store and past all rules: of five,
 * one is deleted and one made up.
 */
export function corrupt(
  world: World,
  { of, with: { type = "TrafficPermission", count = 5 } }: Step,
) {
  const plane = world.plane(of);
  const copies = plane.disk.image.list(String(type)).filter(({ labels }) =>
    (labels["kuma.io/origin"] ?? plane.config.mode) !== (plane === world.global ? "global" : "zone")
  );
  const ops = copies.slice(0, Number(count)).map(corrupted);
  world.count("copies corrupted", ops.length);
  world.note(of, () => `corrupted: ${copies.slice(0, ops.length).map(wireName).join(" ")}`);
  if (ops.length > 0) plane.write(ops, "nobody", () => {});
}

function corrupted(resource: Resource, index: number): Op {
  if (index % 5 === 3) return { op: "delete", key: resource };
  const name = index % 5 === 4 ? `${resource.name}-too` : resource.name;
  const labels = { ...resource.labels, altered: keyText(resource).replaceAll(/\W/g, "-") };
  return { op: "put", resource: { ...resource, name, labels } };
}
