// What happens to tokens and the keys that sign them: operators' doings, and tokens that are no good.

import type { Op } from "../store/store.ts";
import type { Step } from "./steps.ts";
import { type Flaw, FLAWS, SHORT_MS } from "./tokens.ts";
import { GLOBAL, type World } from "./world.ts";

/** Of what can be wrong with a token, this alone is somebody's doing. */
export const REVOKED = "revoked";
/** Behind the end of a token's time. */
const AFTER_MS = 500;

export function token(world: World, { of, with: { how = "none" } }: Step): void {
  if (how === REVOKED) return revoke(world, of);
  const flaw = FLAWS.find((known): known is Flaw => known === how);
  if (flaw === undefined) {
    throw new Error(`how "${how}" must be one of ${[...FLAWS, REVOKED].join(", ")}`);
  }
  world.count(`tokens given: ${flaw}`);
  const shown = (show: () => void): void => {
    if (flaw !== "none") show();
    if (flaw === "short") world.agenda.after(SHORT_MS + AFTER_MS, show);
  };
  const envoy = world.envoys.get(of);
  if (envoy) {
    world.tokens.give(envoy, flaw);
    return shown(() => envoy.reconnect());
  }
  const zone = world.zones.find(({ name }) => name === of);
  if (!zone || !world.global) return;
  world.tokens.giveZone(zone, flaw);
  shown(() => world.network.resetBetween(of, GLOBAL));
}

function revoke(world: World, of: string): void {
  const jwt = world.envoys.get(of)?.token ?? world.zones.find(({ name }) => name === of)?.token;
  const op = jwt ? world.tokens.revocation(jwt) : null;
  if (!op) return;
  world.count("tokens revoked");
  world.write(world.writer, [op]);
}

export function rotate(world: World, { of, with: { retire, renew = false } }: Step): void {
  const [kind, mesh] = of === "zones" ? ["zone", ""] as const : ["dataplane", of] as const;
  const key: Op | null = world.tokens.rotation(kind, mesh);
  if (!key) return;
  world.write(world.writer, [key]);
  if (retire === undefined) return;
  if (renew) world.agenda.after(Number(retire) / 2, () => world.tokens.replace(kind, mesh));
  world.agenda.after(Number(retire), () => {
    const old = world.tokens.retirement(kind, mesh);
    if (old.length > 0) world.write(world.writer, old);
  });
}
