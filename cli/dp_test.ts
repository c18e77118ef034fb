import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import type { Command } from "commander";
import { applyConfigFile, buildDp } from "./dp.ts";

function runCommand(): Command {
  const dp = buildDp({ version: "0.0.0", stdout: () => {}, stderr: () => {} });
  return dp.commands.find((command) => command.name() === "run")!;
}

/** Reads a command line without running the command. */
function parsed(words: readonly string[]): Command {
  const run = runCommand();
  run.action(() => {});
  run.parse([...words], { from: "user" });
  return run;
}

Deno.test("dp run: every flag says which variable it is as well", () => {
  const run = runCommand();
  for (const { long, envVar } of run.options) {
    const variable = `URSA_DP_${long!.slice(2).replaceAll("-", "_").toUpperCase()}`;
    equal(envVar, variable);
  }
  match(run.helpInformation(), /--drain-time <duration>/);
});

Deno.test("dp run: what follows -- goes to Envoy", () => {
  const run = parsed(["-d", "a.yaml", "--", "--component-log-level", "upstream:debug"]);
  deepEqual(run.args, ["--component-log-level", "upstream:debug"]);
});

Deno.test("dp run: variables add up, durations are seconds", () => {
  const run = parsed(["-v", "a=b", "-v", "c=d", "--drain-time", "1500ms"]);
  const { dataplaneVar, drainTime } = run.opts();
  deepEqual(dataplaneVar, ["a=b", "c=d"]);
  equal(drainTime, 1.5);
});

Deno.test("applyConfigFile() fills in what no flag said", () => {
  const run = parsed(["--xds", "sotw"]);
  applyConfigFile(run, {
    path: "dp.yaml",
    text: "xds: delta\ndrainTime: 5s\nbindOutbounds: true\ndataplaneVar: [a=b]\n",
  });
  const { xds, drainTime, bindOutbounds, dataplaneVar } = run.opts();
  deepEqual({ xds, drainTime, bindOutbounds, dataplaneVar }, {
    xds: "sotw",
    drainTime: 5,
    bindOutbounds: true,
    dataplaneVar: ["a=b"],
  });
});

Deno.test("applyConfigFile() reports every problem, and names the nearest key", () => {
  const text = "drainTme: 5s\nxds: grpc\ndrainTime: soon\n";
  throws(() => applyConfigFile(parsed([]), { path: "dp.yaml", text }), (error: Error) => {
    match(error.message, /dp\.yaml: drainTme: is not a setting; did you mean drainTime\?/);
    match(error.message, /dp\.yaml: xds: must be one of delta, sotw/);
    match(error.message, /dp\.yaml: drainTime: must be a duration/);
    ok(error.message.startsWith("Cannot start dp: 3 violations"));
    return true;
  });
});

Deno.test("applyConfigFile() refuses what is no mapping", () => {
  const file = { path: "dp.yaml", text: "- a\n" };
  throws(() => applyConfigFile(parsed([]), file), /must be a YAML mapping of settings/);
});
