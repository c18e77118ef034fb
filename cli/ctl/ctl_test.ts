import assert from "node:assert/strict";
import type { Receipt } from "../../core/receipt.ts";
import { run, shell } from "./shell_test.ts";

const MESH = "type: Mesh\nname: default\n";
const PERMISSION = `type: TrafficPermission
name: all
sources: [{match: {kuma.io/service: "*"}}]
destinations: [{match: {kuma.io/service: "{{ to }}"}}]
`;

function receipt(revision: number, more: Partial<Receipt> = {}): Receipt {
  return {
    revision,
    atMs: 0,
    mesh: "default",
    complete: true,
    proxies: { affected: 3, acked: 3, nacked: 0, pending: 0, offline: 0 },
    lastAckMs: 12,
    nacks: [],
    perProxy: [],
    ...more,
  };
}

Deno.test("apply creates, leaves alone and updates, from several documents", () =>
  shell(async ({ files, run }) => {
    files.set("all.yaml", `# two of them\n${MESH}---\n${PERMISSION}---\n`);
    const first = await run("apply", "-f", "all.yaml", "-v", "to=api");
    assert.deepEqual(first, {
      code: 0,
      out: 'created Mesh "default" (revision 1)\ncreated TrafficPermission "all" (revision 2)\n',
      err: "",
    });
    const second = await run("apply", "-f", "all.yaml", "--var", "to=web");
    assert.match(second.out, /^unchanged Mesh .*\nupdated TrafficPermission "all" \(revision 3\)/);
    files.set("-", MESH);
    assert.match((await run("apply", "-f", "-")).out, /^unchanged/);
  }));

Deno.test("apply warns on stderr, and says on --dry-run what would change", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", `${MESH}mtls: {enabledBackend: ca-1, backends: [{name: ca-1, type: builtin}]}`);
    const dry = await run("apply", "-f", "m", "--dry-run");
    assert.match(dry.out, /^Mesh "default" would be created\n {2}\+ \/labels: {}\n {2}\+ \/spec: /);
    assert.match(dry.err, /^warning: nothing is allowed/);
    assert.equal(plane.ports.resources.revision, 0);
  }));

Deno.test("apply reads everything before it sends anything", () =>
  shell(async ({ files, run, plane }) => {
    const cases: readonly [string, RegExp][] = [
      [`${MESH}---\nname: [a\n`, /^bad:4:1: malformed YAML|^bad:\d+:\d+: malformed YAML/],
      [`${MESH}---\njust text\n`, /^bad:4: a resource must be an object/],
      [`${MESH}---\nname: x\n`, /^bad:4: a resource needs a type and a name/],
      [`${MESH}---\ntype: Nope\nname: x\n`, /^bad:4: unknown type "Nope"/],
      ["", /^There is no resource in the input/],
    ];
    for (const [content, message] of cases) {
      files.set("bad", content);
      const { code, out, err } = await run("apply", "-f", "bad");
      assert.deepEqual([code, out], [1, ""]);
      assert.match(err, message);
    }
    files.set("bad", PERMISSION);
    assert.match((await run("apply", "-f", "bad", "-v", "x=y")).err, /^bad:4: no value for {{to}}/);
    assert.equal((await run("apply", "-f", "bad", "-v", "xy")).code, 2);
    assert.equal(plane.ports.resources.revision, 0);
  }));

Deno.test("apply shows every violation with its path, and how much was left out", () =>
  shell(async ({ files, run }) => {
    files.set("f", `${MESH}---\ntype: TrafficPermission\nname: UPPER\n---\n${MESH}`);
    const { code, out, err } = await run("apply", "-f", "f");
    assert.equal(code, 1);
    assert.equal(out, 'created Mesh "default" (revision 1)\n');
    assert.match(err, /^1 more was not applied\n/);
    assert.match(
      err,
      /Cannot apply TrafficPermission "UPPER" to mesh "default" \(f:4\): Could not/,
    );
    assert.match(err, /\n {2}name: must be an RFC 1123.*\n {2}sources: must have/);
  }));

Deno.test("apply --wait tells when every proxy has it, and in which zones", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    plane.receipts.set(
      1,
      receipt(1, {
        zones: [{
          zone: "east",
          delivered: true,
          ms: 15,
          proxies: { affected: 2, acked: 2, nacked: 0, pending: 0, offline: 0 },
          lastAckMs: 22,
        }],
      }),
    );
    const { code, out } = await run("apply", "-f", "m", "--wait");
    assert.equal(code, 0);
    assert.equal(
      out,
      'created Mesh "default" (revision 1)\n' +
        "revision 1: 3 of 3 proxies ACKed after 12 ms\n" +
        "zone east: delivered after 15 ms; 2 of 2 proxies ACKed after 22 ms\n",
    );
  }));

Deno.test("apply --wait fails when a zone did not take it, and says why", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    const rejected = "Mesh: held back";
    const zones = [{ zone: "east", delivered: false, ms: 15, rejected }];
    plane.receipts.set(1, receipt(1, { zones }));
    const { code, out, err } = await run("apply", "-f", "m", "--wait");
    assert.notEqual(code, 0);
    assert.match(out, /\nzone east: rejected: Mesh: held back\n/);
    assert.match(err, /Zone east did not take it: Mesh: held back/);
  }));

Deno.test("apply --wait of what is unchanged waits for nothing, whatever became of its receipt", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    await run("apply", "-f", "m");
    const unchanged = { code: 0, out: 'unchanged Mesh "default" (revision 1)\n', err: "" };
    assert.deepEqual(await run("apply", "-f", "m", "--wait"), unchanged, "there is no receipt");
    plane.receipts.set(1, receipt(1, { complete: false }));
    assert.deepEqual(await run("apply", "-f", "m", "--wait"), unchanged);
  }));

Deno.test("apply --wait shows an offline zone, and names a zone whose proxies are late", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    const zones = [
      { zone: "east", delivered: true, ms: 15, awaited: true as const },
      { zone: "kuma", delivered: true, ms: 16 },
      { zone: "west", delivered: false, ms: null, offline: true as const },
    ];
    plane.receipts.set(1, receipt(1, { complete: false, zones }));
    const { code, out, err } = await run("apply", "-f", "m", "--wait", "--timeout", "0s");
    assert.equal(code, 1);
    assert.match(out, /\nzone east: delivered after 15 ms\n.*\nzone west: offline\n/);
    assert.match(err, /waiting for the proxies of zone east\n/);
  }));

Deno.test("apply --wait ends with 1 on a NACK, with Envoy's message", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    plane.receipts.set(
      1,
      receipt(1, {
        proxies: { affected: 2, acked: 1, nacked: 1, pending: 0, offline: 0 },
        nacks: [{
          proxy: "dataplane/default/web-1",
          typeUrl: "type.googleapis.com/envoy.config.listener.v3.Listener",
          message: "cannot bind 10.1.1.1:80",
        }],
      }),
    );
    const { code, out, err } = await run("apply", "-f", "m", "--wait");
    assert.equal(code, 1);
    assert.match(out, /revision 1: 1 of 2 proxies ACKed after 12 ms, 1 NACKed\n/);
    assert.equal(
      err,
      "Revision 1 was refused by 1 proxy\n" +
        "  dataplane/default/web-1 NACKed Listener: cannot bind 10.1.1.1:80\n",
    );
  }));

Deno.test("apply --wait ends with 1 when the time is over, and names who is waited for", () =>
  shell(async ({ files, run, plane }) => {
    files.set("m", MESH);
    plane.receipts.set(
      1,
      receipt(1, {
        complete: false,
        proxies: { affected: 1, acked: 0, nacked: 0, pending: 1, offline: 0 },
        lastAckMs: null,
        perProxy: [{ proxy: "dataplane/default/web-1", state: "pending", ms: null }],
      }),
    );
    const { code, err } = await run("apply", "-f", "m", "--wait", "--timeout", "0s");
    assert.equal(code, 1);
    assert.match(err, /not everywhere after 0 ms; waiting for dataplane\/default\/web-1/);
    assert.equal((await run("apply", "-f", "m", "--timeout", "soon")).code, 2);
  }));

Deno.test("get prints tables, YAML that can be applied, JSON and names", () =>
  shell(async ({ files, run, plane }) => {
    const labels = {};
    for (const name of ["a", "b"]) {
      await plane.put({ type: "Mesh", name, labels, spec: {} });
      const inbound = [{ port: 80, servicePort: 81, tags: { "kuma.io/service": "web", v: "1" } }];
      const spec = { networking: { address: "127.0.0.1", inbound } };
      await plane.put({ type: "Dataplane", mesh: name, name: `web-${name}`, spec });
    }
    assert.equal(
      (await run("get", "meshes")).out,
      "NAME   MTLS   LOCALITY   AGE\na      off    off        5m\nb      off    off        5m\n",
    );
    assert.equal(
      (await run("get", "dataplanes", "-A", "--no-headers")).out,
      "a   web-a   kuma.io/service=web v=1   127.0.0.1   5m\n" +
        "b   web-b   kuma.io/service=web v=1   127.0.0.1   5m\n",
    );
    assert.equal((await run("get", "dataplane", "-m", "b", "-o", "name")).out, "dataplane/web-b\n");
    const page = JSON.parse((await run("get", "meshes", "--size", "1", "-o", "json")).out);
    assert.deepEqual([page.total, page.items.length, typeof page.next], [2, 1, "string"]);
    files.set("dump", (await run("get", "meshes", "-o", "yaml")).out);
    assert.match(
      (await run("apply", "-f", "dump")).out,
      /^unchanged Mesh "a".*\nunchanged Mesh "b"/,
    );
    assert.equal(JSON.parse((await run("get", "mesh", "a", "-o", "json")).out).name, "a");
  }));

Deno.test("get fetches every page of a long list", () =>
  shell(async ({ run, plane }) => {
    const name = (index: number) => `mesh-${String(index).padStart(4, "0")}`;
    for (let i = 0; i < 1_001; i++) await plane.put({ type: "Mesh", name: name(i), spec: {} });
    const { out } = await run("get", "meshes", "-o", "name");
    assert.equal(out.split("\n").length, 1_002);
  }));

Deno.test("delete removes, and says why it does not", () =>
  shell(async ({ run, plane }) => {
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    assert.equal(
      (await run("delete", "mesh", "default")).out,
      'deleted Mesh "default" (revision 2)\n',
    );
    const { code, err } = await run("delete", "mesh", "default");
    assert.equal(code, 1);
    assert.equal(err, 'Cannot delete Mesh "default": Could not delete a resource: Not found\n');
  }));

Deno.test("inspect shows streams and versions in kumactl's columns", () =>
  shell(async ({ run, plane }) => {
    await plane.put({ type: "Zone", name: "east", spec: {} });
    await plane.put({ type: "Zone", name: "off", spec: { enabled: false } });
    const subscriptions = [{
      connectTime: "2026-11-22T12:04:00Z",
      status: {
        lastUpdateTime: "2026-11-22T12:04:30Z",
        total: { responsesSent: "7", responsesAcknowledged: "6", responsesRejected: "1" },
      },
      version: { kumaCp: { version: "2.13.10" } },
      config: '{"store":{"type":"kv"}}',
    }];
    for (const name of ["east", "off"]) {
      await plane.put({ type: "ZoneInsight", name, spec: { subscriptions } });
    }
    const lines = (await run("inspect", "zones")).out.split("\n");
    assert.match(lines[0] ?? "", /^NAME {3}STATUS {4}LAST CONNECTED AGO {3}LAST UPDATED AGO/);
    assert.deepEqual(lines[1]?.split(/ {2,}/), [
      "east",
      "Online",
      "1m",
      "30s",
      "6",
      "1",
      "2.13.10",
      "kv",
    ]);
    assert.match(lines[2] ?? "", /^off {4}Offline/);
    const refused = { Dataplane: { count: 1, resources: { "web-1.default": "has no name" } } };
    const ursa = { rejected: { Secret: "s-1 exists" }, refused };
    await plane.put({ type: "ZoneInsight", name: "east", spec: { subscriptions, ursa } });
    assert.equal(
      (await run("inspect", "zones")).err,
      "warning: zone east, not all of Secret has passed: s-1 exists\n" +
        "warning: zone east, 1 of Dataplane could not be taken: web-1.default: has no name\n",
    );

    await plane.put({ type: "Mesh", name: "default", spec: {} });
    const tags = { "kuma.io/service": "web" };
    const inbound = [{ port: 80, state: "NotReady", tags }, { port: 81, tags }];
    const spec = { networking: { address: "127.0.0.1", inbound } };
    await plane.put({ type: "Dataplane", mesh: "default", name: "web-1", spec });
    assert.match((await run("inspect", "dataplanes")).out, /web-1 .* Offline +never +never +0 +0/);
    const insight = { subscriptions, mTLS: { issuedBackend: "ca-1", supportedBackends: ["ca-1"] } };
    await plane.put({ type: "DataplaneInsight", mesh: "default", name: "web-1", spec: insight });
    assert.match(
      (await run("inspect", "dataplanes", "-A")).out,
      /Partially degraded.* ca-1 +ca-1 /,
    );
    assert.equal(JSON.parse((await run("inspect", "dataplanes", "-o", "json")).out).total, 1);
    const leased = { leasedUntil: "2026-11-22T12:05:08.000Z", lost: "its stream ended" };
    await plane.put({
      type: "DataplaneInsight",
      mesh: "default",
      name: "web-1",
      spec: { ...insight, metadata: { ursa: leased } },
    });
    assert.equal(
      (await run("inspect", "dataplanes")).err,
      "warning: dataplane default/web-1: its stream ended; " +
        "it leaves at 2026-11-22T12:05:08.000Z unless it comes back\n",
    );
    assert.match((await run("inspect", "zoneingresses")).out, /^NAME +STATUS/);
  }));

Deno.test("inspect counts meshes and services, and tells policies of dataplanes and back", () =>
  shell(async ({ run, plane }) => {
    await plane.put({ type: "Mesh", name: "default", spec: {} });
    const inbound = [{ port: 80, servicePort: 8080, tags: { "kuma.io/service": "web" } }];
    const spec = { networking: { address: "127.0.0.1", inbound } };
    await plane.put({ type: "Dataplane", mesh: "default", name: "web-1", spec });
    const any = [{ match: { "kuma.io/service": "*" } }];
    const permission = { sources: any, destinations: any };
    const type = "TrafficPermission";
    await plane.put({ type, mesh: "default", name: "all", spec: permission });
    const table = async (...args: string[]) =>
      (await run("inspect", ...args, "--no-headers")).out.trim().split(/ {2,}/);
    assert.deepEqual(await table("meshes"), ["default", "0/1", "1", "1", "-"]);
    assert.deepEqual(
      await table("services", "-A"),
      ["default", "web", "offline", "0/1", "web.mesh:80", "-"],
    );
    const part = ["inbound", "127.0.0.1:80:8080", "web"];
    assert.deepEqual(await table("policies", "web-1"), [...part, type, "all"]);
    assert.deepEqual(await table("policy", "traffic-permission", "all"), ["web-1", ...part]);
    assert.equal((await run("inspect", "policy", "dataplane", "web-1")).code, 2);
    assert.match((await run("inspect", "policies", "web-2")).err, /Not found/);
  }));

Deno.test("receipt, debug actors, version and accept-global", async () => {
  await shell(async ({ run, plane }) => {
    const perProxy = [{ proxy: "dataplane/default/web-1", state: "acked" as const, ms: 12 }];
    plane.receipts.set(42, receipt(42, { perProxy }));
    assert.equal(
      (await run("receipt", "42")).out,
      "revision 42: 3 of 3 proxies ACKed after 12 ms\n  dataplane/default/web-1: acked after 12 ms\n",
    );
    assert.equal(JSON.parse((await run("receipt", "42", "-o", "json")).out).revision, 42);
    assert.equal((await run("receipt", "7")).code, 1);
    assert.equal((await run("receipt", "x")).code, 2);
    assert.equal(
      (await run("debug", "actors")).out,
      "PATH   MAILBOX   TURNS   RESTARTS\nhub    0         7       0\n",
    );
    assert.match((await run("version")).out, /ctl: ursa .*\ncontrol plane: ursa .*Kuma 2\.13/);
    assert.match((await run("zone", "accept-global")).err, /Only a zone that has a global/);
  });
  await shell(async ({ run }) => {
    assert.match((await run("zone", "accept-global")).out, /is the global now/);
    const links = await run("zone", "links");
    assert.match(links.out, /^west +2026-01-01T00:00:00.000Z +hears +-$/m);
    assert.match(links.err, /Global is gone/);
  }, { mode: "remote", federated: true, zone: "east" });
});

Deno.test("contexts are added, listed, switched, used and removed", () =>
  shell(async ({ address, files, plane }) => {
    const there = (...args: string[]) => run(args, { env: new Map(), files });
    await plane.put({ type: "Mesh", name: "shop", spec: {} });
    const add = ["config", "control-planes", "add"];
    const added = await there(...add, "--name", "east", "--address", address, "--mesh", "shop");
    assert.equal(added.out, 'added control plane "east" and switched to it\n', added.err);
    await there(...add, "--name", "dead", "--address", "http://127.0.0.1:1", "--skip-check");
    const failed = await there(...add, "--name", "no", "--address", "http://127.0.0.1:1");
    assert.deepEqual([failed.code, failed.err.includes("Cannot reach")], [1, true]);
    assert.match((await there("get", "meshes")).err, /Cannot reach .*127\.0\.0\.1:1/);
    assert.equal(
      (await there("get", "meshes", "--context", "east", "-o", "name")).out,
      "mesh/shop\n",
    );
    await there("config", "control-planes", "switch", "east");
    assert.equal((await there("get", "dataplanes")).code, 0, "the context's mesh exists");
    const list = (await there("config", "control-planes", "list")).out.split("\n");
    assert.deepEqual(list.map((line) => line.slice(0, 13).trim()), [
      "ACTIVE   NAME",
      "*        east",
      "dead",
      "",
    ]);
    assert.match((await there("config", "view")).out, /currentContext: east/);
    await there("config", "control-planes", "remove", "dead");
    assert.equal((await there("config", "control-planes", "switch", "dead")).code, 2);
    assert.equal((await there("get", "meshes", "--context", "dead")).code, 2);
  }));

Deno.test("usage errors end with 2 and name what was meant", () =>
  shell(async ({ run }) => {
    const cases: readonly [string[], RegExp][] = [
      [["get", "dataplan"], /There is no type "dataplan", did you mean "dataplane"\? Types: /],
      [["get"], /missing required argument/],
      [["gett"], /unknown command 'gett'/],
      [["get", "meshes", "--bogus"], /unknown option '--bogus'/],
      [["get", "meshes", "-o", "xml"], /Allowed choices are table, yaml, json, name/],
      [["apply"], /required option '-f, --file/],
      [["get", "meshes", "--address", "localhost"], /not an http/],
      [["get", "dataplane", "x", "-A"], /--all-meshes lists/],
      [["receipt", "1.5"], /whole number/],
    ];
    for (const [args, message] of cases) {
      const { code, err, out } = await run(...args);
      assert.deepEqual([code, out], [2, ""], `${args}: ${err}`);
      assert.match(err, message);
    }
    const help = await run("apply", "--help");
    assert.equal(help.code, 0);
    assert.match(help.out, /Examples:\n {2}\$ ursa ctl apply .*\n {2}\$ /);
  }));

Deno.test("an answer that is no control plane's is said to be so", async () => {
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("<html>", { status: 502 }),
  );
  try {
    const address = `http://127.0.0.1:${other.addr.port}`;
    const env = new Map([["URSA_ADDRESS", address]]);
    const { code, err } = await run(["get", "meshes"], { env, files: new Map() });
    assert.equal(code, 1);
    assert.match(err, /answered 502 \(<html>\): is it a control plane\?/);
  } finally {
    await other.shutdown();
  }
});
