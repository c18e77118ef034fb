import { equal } from "node:assert/strict";
import { accessLogSocket, dynamicConfigSocket, readinessSocket } from "./sockets.ts";

Deno.test("sockets are named after their proxy, in its working folder", () => {
  const web = { name: "web-1", mesh: "default" };
  equal(accessLogSocket("/tmp/dp", web), "/tmp/dp/kuma-al-web-1-default.sock");
  equal(accessLogSocket("/tmp/dp/", { ...web, mesh: "" }), "/tmp/dp/kuma-al-web-1-.sock");
  equal(readinessSocket("/tmp/dp"), "/tmp/dp/kuma-readiness-reporter.sock");
  equal(dynamicConfigSocket(""), "kuma-mesh-metric-config.sock");
});

Deno.test("sockets with long names are cut where the dp process cuts them", () => {
  const long = accessLogSocket("/tmp/dp", { name: "n".repeat(120), mesh: "default" });
  equal(long, `/tmp/dp/kuma-al-${"n".repeat(82)}.sock`);
  equal(long.length, 103);
});
