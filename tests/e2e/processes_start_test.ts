// How control planes begin and end as processes: the ready line, the refusals, the signals.

import { equal, match, ok } from "node:assert/strict";
import { connect } from "node:tls";
import { type AddressBlock, claimBlock } from "../../cli/demo/addresses.ts";
import { type Child, startChild } from "../../cli/demo/process.ts";
import { PROJECT } from "./one_cluster.ts";

interface Place {
  readonly dir: string;
  readonly block: AddressBlock;
  start(mode: "global" | "standalone", flags?: readonly string[]): Child;
  log(): Promise<string>;
}

/** Port 0 for all that is not said otherwise. */
const SERVERS = { global: ["api", "kds"], standalone: ["api", "dns", "dp"] } as const;

async function withPlace(run: (place: Place) => Promise<void>): Promise<void> {
  const dir = `${PROJECT}/.ursa/e2e/${crypto.randomUUID().slice(0, 8)}`;
  await Deno.mkdir(dir, { recursive: true });
  const block = claimBlock();
  const logFile = `${dir}/process.log`;
  const children: Child[] = [];
  const place: Place = {
    dir,
    block,
    start(mode, flags = []) {
      const child = startChild({
        name: mode,
        command: Deno.execPath(),
        args: [
          ...["run", "--quiet", "--no-prompt", `-P=${mode}`, "main.ts", mode],
          ...["--data", `${dir}/data`, "--bind", block.address(1)],
          ...SERVERS[mode].map((server) => `--${server}-port`).filter((flag) =>
            !flags.includes(flag)
          ).flatMap((flag) => [flag, "0"]),
          ...flags,
        ],
        cwd: PROJECT,
        logFile,
      });
      children.push(child);
      return child;
    },
    log: () => Deno.readTextFile(logFile),
  };
  try {
    await run(place);
  } finally {
    await Promise.all(children.map((child) => child.stop()));
    block.release();
  }
  await Deno.remove(dir, { recursive: true });
}

for (const mode of ["standalone", "global"] as const) {
  Deno.test(`${mode} says where it listens, and ends with status 0 on SIGTERM`, async () => {
    await withPlace(async ({ start, block }) => {
      const child = start(mode);
      const ready = await child.ready as Readonly<Record<string, string>>;
      equal(Object.keys(ready).sort().join(), SERVERS[mode].join());
      for (const url of Object.values(ready)) {
        match(url, new RegExp(`^\\w+://${block.address(1)}:[1-9]\\d*$`));
      }
      equal((await (await fetch(`${ready["api"]}/meshes/default`)).json()).name, "default");
      // Connections that nobody closes must not hold it up.
      const idle = await idleConnection(new URL(ready["dp"] ?? ready["kds"]!));
      child.signal("SIGTERM");
      const { code, signal } = await child.exited;
      equal(`${code} ${signal}`, "0 null");
      idle.destroy();
    });
  });

  for (const server of SERVERS[mode]) {
    Deno.test(`${mode} names --${server}-port when that port is in use`, async () => {
      await withPlace(async ({ start, block, log }) => {
        // DNS has UDP and TCP on one port, so this is in its way as well.
        const taken = Deno.listen({ hostname: block.address(1), port: 0 });
        const { port } = taken.addr;
        const { code } = await start(mode, [`--${server}-port`, String(port)]).exited;
        taken.close();
        ok(code !== 0);
        match(await log(), new RegExp(`Port ${port} is in use: .*--${server}-port`));
      });
    });
  }
}

Deno.test("a data folder has one process at a time, also after a kill", async () => {
  await withPlace(async ({ start, dir, log }) => {
    const first = start("standalone");
    await first.ready;
    const second = await start("standalone").exited;
    ok(second.code !== 0);
    match(await log(), new RegExp(`Data folder "${dir}/data" is in use by process ${first.pid}`));
    first.signal("SIGKILL");
    await first.exited;
    await start("standalone").ready;
  });
});

Deno.test("another --bind makes another root certificate, and says whom to give it", async () => {
  await withPlace(async ({ start, block, log }) => {
    for (const address of [1, 2, 2]) {
      const child = start("standalone", ["--bind", block.address(address)]);
      await child.ready;
      child.signal("SIGTERM");
      await child.exited;
    }
    const told = (await log()).split("\n").filter((line) =>
      line.includes("level=warn") && line.includes("new server certificate")
    );
    equal(told.length, 1);
    match(told[0]!, /ca\.crt/);
  });
});

/** A TLS connection that is never closed nor used. */
function idleConnection(url: URL): Promise<ReturnType<typeof connect>> {
  return new Promise((done, fail) => {
    const socket = connect({
      host: url.hostname,
      port: Number(url.port),
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    }, () => done(socket));
    // Once connected, an end of the connection is what the test is about.
    socket.on("error", fail);
  });
}
