// Questions about Envoys: an operator asks global, global the zone, and the zone the Envoy.

import type { EnvoyAnswer, EnvoyQuestion } from "../core/envoy_admin.ts";
import { DISPLAY_NAME_LABEL } from "../core/names.ts";
import { type AdminRequest, keyInZone } from "../kds/admin.ts";
import { zoneOf } from "../kds/filter.ts";
import type { ControlPlane, Inquiry } from "./control_plane.ts";
import type { Step } from "./steps.ts";
import type { World } from "./world.ts";

const CHECK = "questions are answered";
/** As long as global waits for a zone, and a moment. */
const ANSWERED_MS = 15_100;
/** As long as a zone waits for its Envoy. */
const ENVOY_MS = 10_000;
const QUESTIONS: readonly EnvoyQuestion[] = [
  { kind: "xds", includeEds: true },
  { kind: "stats", format: "text", usedOnly: false },
  { kind: "clusters", format: "json" },
];

/** Of each kind one question. */
export function inquire(world: World, { of }: Step): void {
  const { global } = world;
  const [zone, mesh, name] = of.split("/");
  const stored = global?.disk.image.list("Dataplane", mesh).find((resource) =>
    zoneOf(resource) === zone && resource.labels[DISPLAY_NAME_LABEL] === name
  );
  if (!stored || !global?.kernel) return;
  for (const question of QUESTIONS) {
    world.count("questions asked");
    const id = `question-${world.counts.get("questions asked")}`;
    const request = { id, proxy: keyInZone(stored, { kubernetes: false }), question };
    const fromMs = world.nowMs;
    let answers = 0;
    const settle = (answer: EnvoyAnswer): void => {
      const ms = world.nowMs - fromMs;
      world.count(`questions answered: ${answer.ok ? "ok" : answer.detail}`);
      if (++answers > 1) world.violate(CHECK, `${of}, ${question.kind}: answered twice`);
      if (ms > ANSWERED_MS) world.violate(CHECK, `${of}, ${question.kind}: after ${ms} ms`);
      if (!answer.ok) return;
      const said = new TextDecoder().decode(answer.body);
      const wanted = textOf(request);
      if (said !== wanted) world.violate(CHECK, `${wanted} was asked, and answered was ${said}`);
    };
    global.kdsServer!.ask(zone!, request, settle);
    world.agenda.after(ANSWERED_MS, () => {
      if (answers === 0) world.violate(CHECK, `${of}, ${question.kind}: nobody answers`);
    });
  }
}

/** An Envoy says who it is, unless it is not there or says nothing. */
export function answer(
  world: World,
  zone: ControlPlane,
  { request, answered }: Inquiry,
): void {
  const { proxy } = request;
  const refuse = (ms: number, reason: "unknown" | "failed", detail: string) =>
    world.agenda.after(ms, () => answered({ ok: false, reason, detail }));
  if (!zone.disk.image.get(proxy)) return refuse(0, "unknown", "there is no such proxy");
  const named = world.envoysNamed(zone.name, `dataplane/${proxy.mesh}/${proxy.name}`);
  if (world.luck.strikes("an Envoy does not answer a question")) {
    return refuse(ENVOY_MS, "failed", "Envoy did not answer within 10 s");
  }
  if (!named.some(({ running }) => running)) return refuse(1, "failed", "connection refused");
  const body = new TextEncoder().encode(textOf(request));
  world.agenda.after(world.dice.checks.between(1, 50), () => answered({ ok: true, body }));
}

function textOf({ proxy, question }: AdminRequest): string {
  return `${question.kind} of ${proxy.mesh}/${proxy.name}`;
}
