// The command that global prints for a new zone, run as it is.

import assert from "node:assert/strict";
import { startChild } from "../../cli/demo/process.ts";
import { until } from "../../cli/demo/until.ts";
import { PROJECT, withCluster } from "./one_cluster.ts";

Deno.test("ctl zone join prints the one command that a zone needs, and it needs it once", async () => {
  await withCluster("delta", async (cluster) => {
    const global = await cluster.startGlobal();
    const printed = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-P=ctl", "main.ts", "ctl", "--address", global.rest.address]
        .concat("zone", "join", "east"),
      cwd: PROJECT,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(printed.code, 0, new TextDecoder().decode(printed.stderr));
    const [program, mode, ...words] = new TextDecoder().decode(printed.stdout)
      .replaceAll("\\\n", "").trim().split(/\s+/);
    assert.deepEqual([program, mode], ["ursa", "remote"]);
    const data = `${cluster.options.dir}/east`;
    const own = ["--data", data, "--api-port", "0", "--dp-port", "0", "--dns-port", "0"]
      .concat("--zone-links-port", "0");
    const east = (name: string, given: readonly string[]) =>
      startChild({
        name,
        command: Deno.execPath(),
        args: ["run", "-q", "--no-prompt", "--allow-sys=hostname", "-P=remote", "main.ts", "remote"]
          .concat(given, own),
        cwd: PROJECT,
        logFile: `${cluster.options.dir}/logs/${name}.log`,
      });
    const online = (wanted: boolean) =>
      until(`zone east ${wanted ? "online" : "offline"}`, async () => {
        const path = "/zones/east/_overview";
        const found = await global.rest.find<{ zoneInsight?: Insight }>(path);
        const [last] = found?.zoneInsight?.subscriptions?.slice(-1) ?? [];
        const isOnline = last !== undefined && last.disconnectTime === undefined;
        return isOnline === wanted || JSON.stringify(found);
      });
    const first = east("east-first", words);
    await first.ready;
    await online(true);
    for (const secret of ["zone-token", "global-ca.crt"]) {
      assert.equal((await Deno.stat(`${data}/${secret}`)).mode! & 0o777, 0o600);
    }
    await first.stop();
    await online(false);
    // What it keeps is enough.
    const again = east("east-again", words.slice(0, words.indexOf("--global-ca-fingerprint")));
    await again.ready;
    await online(true);
    await again.stop();
    // Without it, nobody is east.
    await Deno.remove(`${data}/zone-token`);
    const stranger = east("east-stranger", words.slice(0, words.indexOf("--zone-token")));
    await stranger.ready;
    await until(
      "word of the refusal",
      async () =>
        (await Deno.readTextFile(stranger.logFile)).includes("has shown no zone token") || "none",
    );
    await stranger.stop();
  });
});

interface Insight {
  readonly subscriptions?: readonly { readonly disconnectTime?: string }[];
}
