// The demo's checks, in the order in which they are run.

import type { Check } from "./check.ts";
import { crossZone, gateway } from "./reach.ts";
import { globalKilled, globalReplaced, remoteKilled } from "./outage.ts";
import { move } from "./move.ts";
import { mutualTls, twoMeshes } from "./secrecy.ts";
import { permission } from "./permission.ts";
import { split } from "./split.ts";

export { type Check, type CheckResult, runCheck } from "./check.ts";

export const TWO_ZONE_CHECKS: readonly Check[] = [
  crossZone,
  split,
  permission,
  move,
  twoMeshes,
  globalKilled,
  remoteKilled,
  mutualTls,
  globalReplaced,
  gateway,
];

export const STANDALONE_CHECKS: readonly Check[] = [permission, move, mutualTls];
