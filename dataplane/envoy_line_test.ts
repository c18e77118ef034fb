import { equal } from "node:assert/strict";
import { readableLine } from "./envoy_line.ts";

const CLOSED = "[config] DeltaAggregatedResources gRPC config stream to ads_cluster closed: 10, ";

const cases = [
  [CLOSED + "instance%20a%20was%20superseded", CLOSED + "instance a was superseded"],
  [CLOSED + "mesh%20%22gr%C3%BCn%22", CLOSED + 'mesh "grün"'],
  [CLOSED + "two%0Alines, %ff, 100%", CLOSED + "two%0Alines, %ff, 100%"],
  ["GET /a%20b 200", "GET /a%20b 200"],
] as const;

for (const [line, readable] of cases) {
  Deno.test(`readableLine("${line}")`, () => equal(readableLine(line), readable));
}
