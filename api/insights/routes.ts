// What is counted over all meshes. Insights of meshes and services are resources: computed.ts.

import { json } from "../exchange.ts";
import { get, type Route } from "../route.ts";
import { globalInsight, globalKindCounts } from "./global_insight.ts";

export const INSIGHT_ROUTES: readonly Route[] = [
  get(
    "/global-insight",
    ({ request, view }) => json({ createdAt: timeOf(request.atMs), ...globalInsight(view) }),
  ),
  get("/global-insights", ({ request, view }) =>
    json({
      type: "GlobalInsights",
      creationTime: timeOf(request.atMs),
      resources: globalKindCounts(view),
    })),
];

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
