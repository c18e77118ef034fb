import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { createServer } from "node:https";
import { once } from "node:events";
import { createServerCertificate } from "../../identity/io/authority.ts";
import { handleBootstrap } from "../bootstrap.ts";
import { findEnvoy } from "./envoy_binary.ts";
import { type DpIo, type DpOptions, runDp } from "./run.ts";

const dataplane = `
type: Dataplane
mesh: {{ mesh }}
name: web-1
networking:
  address: 127.0.0.1
  inbound:
  - {port: 18080, servicePort: 18081, tags: {kuma.io/service: web}}
`;

interface FakeControlPlane extends AsyncDisposable {
  readonly address: string;
  readonly caCert: string;
  readonly meshes: Set<string>;
  /** Path of each call, the bodies of those below /ursa. */
  readonly calls: [string, unknown][];
}

async function fakeControlPlane(heard: (path: string) => void = () => {}): Promise<
  FakeControlPlane
> {
  const { cert, key } = createServerCertificate({ names: [], addresses: ["127.0.0.1"] }, {
    nowMs: Date.now(),
    lifetimeMs: 3_600_000,
  });
  const meshes = new Set<string>();
  const calls: [string, unknown][] = [];
  const server = createServer({ cert, key }, (request, response) => {
    let text = "";
    request.on("data", (part) => text += part);
    request.on("end", () => {
      const path = request.url ?? "";
      const body = JSON.parse(text);
      heard(path);
      calls.push([path, path === "/bootstrap" ? null : body]);
      if (path !== "/bootstrap") return response.end("{}");
      const answer = handleBootstrap(body, {
        host: "127.0.0.1",
        port,
        caCert: cert,
        accept: request.headers.accept ?? "",
        covers: () => true,
        faultOfRoot: () => null,
        reloadableTokens: false,
        reportsHealth: true,
        mesh: (name) => meshes.has(name) ? {} : undefined,
        validate: () => [],
      });
      response.writeHead(answer.status, { "content-type": answer.contentType }).end(answer.body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    address: `https://127.0.0.1:${port}`,
    caCert: cert,
    meshes,
    calls,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

interface Run {
  readonly options: DpOptions;
  readonly io: DpIo;
  readonly stop: AbortController;
  /** Resolves with the first log line that holds the text. */
  logged(text: string): Promise<string>;
}

async function prepare(cp: FakeControlPlane, dir: string, binaryPath: string): Promise<Run> {
  await Deno.writeTextFile(`${dir}/dp.yaml`, dataplane);
  await Deno.writeTextFile(`${dir}/ca.crt`, cp.caCert);
  const stop = new AbortController();
  const lines: string[] = [];
  const waiting: { readonly text: string; readonly done: (line: string) => void }[] = [];
  function note(line: string): void {
    lines.push(line);
    for (const { text, done } of waiting) if (line.includes(text)) done(line);
  }
  return {
    stop,
    logged(text) {
      const known = lines.find((line) => line.includes(text));
      if (known) return Promise.resolve(known);
      return new Promise((done) => waiting.push({ text, done }));
    },
    options: {
      cpAddress: cp.address,
      caCertFile: `${dir}/ca.crt`,
      proxyType: "dataplane",
      dataplaneFile: `${dir}/dp.yaml`,
      dataplaneVars: ["mesh=default"],
      tokenFile: "",
      drainTimeSeconds: 0.1,
      xds: "delta",
      bindOutbounds: false,
      concurrency: 1,
      envoyLogLevel: "info",
      workDir: `${dir}/work`,
      binaryPath,
      cacheDir: `${dir}/cache`,
      envoyArgs: [],
    },
    io: {
      version: "0.0.0",
      log: (level, message, fields) => note(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
      ready: () => {},
      envoyLine: (source, line) => note(`${source} ${line}`),
      stop: stop.signal,
      stopNow: new AbortController().signal,
    },
  };
}

/** Stands in for Envoy where only its life as a process matters. */
async function fakeEnvoy(dir: string, script: string): Promise<string> {
  const path = `${dir}/envoy`;
  await Deno.writeTextFile(
    path,
    `#!/bin/sh\n[ "$1" = --version ] && echo "version: x/1.40.0/Clean" && exit 0\n${script}\n`,
    { mode: 0o755 },
  );
  return path;
}

Deno.test("runDp() waits for its mesh, says why, and leaves in good order", async () => {
  await using cp = await fakeControlPlane();
  const dir = await Deno.makeTempDir();
  const envoy = await fakeEnvoy(dir, `echo up; trap "exit 0" TERM; while :; do sleep 0.05; done`);
  const { options, io, stop, logged } = await prepare(cp, dir, envoy);
  const running = runDp(options, io);
  match(await logged("Waiting"), /mesh \\"default\\" does not exist/);
  cp.meshes.add("default");
  equal(await logged("stdout"), "stdout up");
  stop.abort();
  await running;
  const bodies = cp.calls.filter(([path]) => path !== "/bootstrap");
  deepEqual(bodies.map(([path]) => path), ["/ursa/drain", "/ursa/deregister"]);
  const { instance, ...owner } = bodies[0]![1] as Record<string, string>;
  deepEqual(owner, { mesh: "default", name: "web-1", type: "dataplane" });
  match(instance ?? "", /^[0-9a-f-]{36}$/);
  deepEqual([...Deno.readDirSync(`${dir}/work`)], []);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("runDp() deregisters when no Envoy is left that could register again", async () => {
  const dir = await Deno.makeTempDir();
  const ended = () => [...Deno.readDirSync(dir)].some(({ name }) => name === "ended");
  const heard: string[] = [];
  await using cp = await fakeControlPlane((path) => heard.push(`${path} ${ended()}`));
  cp.meshes.add("default");
  const trap = `trap "sleep 0.2; touch ${dir}/ended; exit 0" TERM`;
  const envoy = await fakeEnvoy(dir, `${trap}; echo up; while :; do sleep 0.05; done`);
  const { options, io, stop, logged } = await prepare(cp, dir, envoy);
  const running = runDp(options, io);
  await logged("stdout up");
  stop.abort();
  await running;
  deepEqual(heard.slice(1), ["/ursa/drain false", "/ursa/deregister true"]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("runDp() starts Envoy again when it dies", async () => {
  await using cp = await fakeControlPlane();
  cp.meshes.add("default");
  const dir = await Deno.makeTempDir();
  const envoy = await fakeEnvoy(
    dir,
    `[ -e ${dir}/died ] && { echo again; exec sleep 600; }; touch ${dir}/died; exit 3`,
  );
  const { options, io, stop, logged } = await prepare(cp, dir, envoy);
  const running = runDp(options, io);
  match(await logged("Envoy ended"), /"code":3/);
  await logged("stdout again");
  stop.abort();
  await running;
  await Deno.remove(dir, { recursive: true });
});

Deno.test("runDp() gives up on what waiting cannot mend", async () => {
  await using cp = await fakeControlPlane();
  cp.meshes.add("default");
  const dir = await Deno.makeTempDir();
  const envoy = await fakeEnvoy(dir, "exit 1");
  const { options, io } = await prepare(cp, dir, envoy);
  await rejects(runDp({ ...options, dataplaneVars: [] }, io), /{{ mesh }}: has no value/);
  await rejects(runDp({ ...options, cpAddress: "http://x" }, io), /--cp-address: must be https/);
  await rejects(runDp({ ...options, proxyType: "ingress" }, io), /type: must be ZoneIngress/);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("runDp() trusts no control plane but the one whose root it has", async () => {
  await using cp = await fakeControlPlane();
  await using other = await fakeControlPlane();
  const dir = await Deno.makeTempDir();
  const envoy = await fakeEnvoy(dir, "exit 1");
  const { options, io, stop, logged } = await prepare(other, dir, envoy);
  const running = runDp({ ...options, cpAddress: cp.address }, io);
  match(await logged("Waiting"), /certificate/);
  deepEqual(cp.calls, []);
  stop.abort();
  await running;
  await Deno.remove(dir, { recursive: true });
});

for (const xds of ["delta", "sotw"] as const) {
  Deno.test(`a real Envoy accepts the bootstrap for ${xds}`, async () => {
    await using cp = await fakeControlPlane();
    cp.meshes.add("default");
    const dir = await Deno.makeTempDir();
    const envoy = await findEnvoy({ cacheDir: ".ursa/cache/envoy", log: console.error });
    const { options, io, logged, stop } = await prepare(cp, dir, envoy);
    const running = runDp({ ...options, xds, envoyArgs: ["--mode", "validate"] }, io);
    await logged("configuration '");
    stop.abort();
    await running;
    match(await logged("configuration '"), / OK$/);
    await Deno.remove(dir, { recursive: true });
  });
}
