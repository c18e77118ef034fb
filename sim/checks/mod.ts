// Everything that must hold in a simulated world.

import type { Check, World } from "../world.ts";
import { namesAreTrue } from "./dns.ts";
import { nothingOverflows, versionsGoForward } from "./forward.ts";
import { leasesHold } from "./leases.ts";
import { linksAreForOutages, zonesSpeakForThemselves } from "./links.ts";
import { acksAreMeant, oneOwner } from "./owners.ts";
import { incrementalEqualsScratch } from "./scratch.ts";
import { receiptsClaimNothingFalse, receiptsComplete } from "./receipts.ts";
import { restAnswersAreTrue } from "./rest.ts";
import {
  addressesStay,
  meshesStayApart,
  nothingDangles,
  rejectionsAreNoticed,
  serversListenFirst,
} from "./seen.ts";
import { strangersTakeNothing, zonesAndGlobalAgree } from "./sync.ts";
import { tokensAreGood } from "./tokens.ts";
import { noWriteIsLost } from "./writes.ts";
import { zonesTellTheTruth } from "./zone.ts";

export function everyCheck(world: World): readonly Check[] {
  return [
    meshesStayApart(world),
    serversListenFirst(world),
    nothingDangles(world),
    tokensAreGood(world),
    oneOwner(world),
    leasesHold(world),
    acksAreMeant(world),
    addressesStay(world),
    namesAreTrue(world),
    rejectionsAreNoticed(world),
    strangersTakeNothing(world),
    versionsGoForward(world),
    nothingOverflows(world),
    noWriteIsLost(world),
    restAnswersAreTrue(world),
    zonesSpeakForThemselves(world),
    zonesAndGlobalAgree(world),
    linksAreForOutages(world),
    incrementalEqualsScratch(world),
    zonesTellTheTruth(world),
    receiptsClaimNothingFalse(world),
    receiptsComplete(world),
  ];
}
