import { deepEqual, equal, ok } from "node:assert/strict";
import {
  backoffMs,
  bootstrapRequest,
  envoyArgs,
  parseVars,
  readBootstrapAnswer,
  renderTemplate,
} from "./args.ts";
import { parseProxyResource, renderProxyResource } from "./resource.ts";

Deno.test("renderTemplate() fills variables, with and without spaces", () => {
  deepEqual(
    renderTemplate(
      "name: {{ name }}\naddress: {{address}}",
      new Map([["name", "a"], ["address", "b"]]),
    ),
    {
      ok: true,
      text: "name: a\naddress: b",
    },
  );
});

Deno.test("renderTemplate() names every variable without a value", () => {
  const rendered = renderTemplate("{{ a }} {{ b }} {{ a }}", new Map());
  ok(!rendered.ok);
  deepEqual(rendered.violations.map(({ path }) => path), ["{{ a }}", "{{ b }}"]);
});

Deno.test("parseVars() splits at the first equals sign", () => {
  const { vars, violations } = parseVars(["a=b=c", "d=", "=e", "f"]);
  deepEqual([...vars], [["a", "b=c"], ["d", ""]]);
  equal(violations.length, 2);
});

Deno.test("renderProxyResource() adds the admin port and keeps the rest", () => {
  const parsed = parseProxyResource(
    "{type: Dataplane, mesh: m, name: n, labels: {a: b}, networking: {address: 1.2.3.4, inbound: []}}",
    "dataplane",
  );
  ok(parsed.ok);
  deepEqual(JSON.parse(renderProxyResource(parsed.resource, 9999)), {
    type: "Dataplane",
    mesh: "m",
    name: "n",
    labels: { a: "b" },
    networking: { address: "1.2.3.4", inbound: [], admin: { port: 9999 } },
  });
});

Deno.test("parseProxyResource() reports every violation at once", () => {
  const parsed = parseProxyResource("{type: ZoneIngress, name: A_B}", "dataplane");
  ok(!parsed.ok);
  deepEqual(parsed.violations.map(({ path }) => path), ["type", "name", "mesh", "networking"]);
});

Deno.test("bootstrapRequest() announces what this process can do", () => {
  const parsed = parseProxyResource(
    "{type: Dataplane, mesh: m, name: n, networking: {address: 1.2.3.4}}",
    "dataplane",
  );
  ok(parsed.ok);
  const request = bootstrapRequest({
    proxyType: "dataplane",
    resource: parsed.resource,
    resourceText: "{}",
    instance: "i-1",
    xds: "delta",
    bindOutbounds: true,
    caCert: "",
    token: "",
    tokenSecretPath: "",
    workdir: "/w",
    ursaVersion: "0.1.0",
    envoyVersion: "abc/1.40.0/Clean/RELEASE/BoringSSL",
  });
  deepEqual(request["features"], ["feature-delta-grpc", "feature-bind-outbounds"]);
  deepEqual(request["dynamicMetadata"], { "ursa.instance": "i-1" });
  equal("caCert" in request, false);
  equal((request["version"] as { envoy: { version: string } }).envoy.version, "1.40.0");
});

Deno.test("envoyArgs() puts the user's words last", () => {
  const args = envoyArgs({
    configPath: "/c",
    drainTimeSeconds: 0.2,
    logLevel: "info",
    concurrency: 0,
    extra: ["--component-log-level", "upstream:debug"],
  });
  deepEqual(args.slice(0, 4), ["--config-path", "/c", "--drain-time-s", "1"]);
  deepEqual(args.slice(-2), ["--component-log-level", "upstream:debug"]);
  equal(args.includes("--concurrency"), false);
});

Deno.test("backoffMs() grows to ten seconds and not beyond", () => {
  equal(backoffMs(0, 0), 100);
  equal(backoffMs(0, 1), 350);
  equal(backoffMs(50, 1), 10_100);
});

Deno.test("readBootstrapAnswer() waits for what may still arrive and gives up on the rest", () => {
  const steps = [
    [200, "{}", "start"],
    [404, "", "wait"],
    [404, "404: Page Not Found", "fail"],
    [422, 'mesh: mesh "new" does not exist', "wait"],
    [422, "networking.address: must be set", "fail"],
    [400, "", "fail"],
    [500, "", "wait"],
    [503, "starting", "wait"],
  ] as const;
  for (const [status, body, step] of steps) {
    equal(readBootstrapAnswer(status, body).step, step, `${status} ${body}`);
  }
});
