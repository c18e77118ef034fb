// Machines that share nothing but the network that is laid between them: Linux network namespaces.

import { type Child, startChild } from "../../cli/demo/process.ts";
import { until } from "../../cli/demo/until.ts";

/** What is missing for namespaces with address translation; null when all is there. */
export async function missingForNamespaces(): Promise<string | null> {
  for (
    const [program, where] of [["ip", "iproute2"], ["nft", "nftables"], ["nsenter", "util-linux"]]
  ) {
    if (!await succeeds("sh", ["-c", `command -v ${program}`])) {
      return `there is no \`${program}\` (${where})`;
    }
  }
  const rules =
    "add table ip t; add chain ip t c { type nat hook postrouting priority srcnat; }; " +
    "add rule ip t c masquerade";
  if (!await succeeds("unshare", ["--map-root-user", "--net", "true"])) {
    return "network namespaces may not be made here";
  }
  return await succeeds("unshare", ["--map-root-user", "--net", "nft", rules])
    ? null
    : "the kernel translates no addresses in namespaces";
}

async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args: [...args],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

export interface Machine {
  readonly name: string;
  /** A line of shell, to its end; throws when it fails. */
  sh(line: string): Promise<string>;
  start(name: string, command: string, args: readonly string[]): Child;
}

/** Machines, and cables between them; everything ends with `stop`. */
export class Site {
  readonly #dir: string;
  readonly #project: string;
  readonly #machines = new Map<string, Child>();
  readonly #children: Child[] = [];
  /** That are taken: a holder is in another's until it has made its own. */
  readonly #namespaces = new Set<string>();
  /** Its user namespace is everybody's: only so may one move a cable into another. */
  #first: Child | null = null;

  constructor({ dir, project }: { readonly dir: string; readonly project: string }) {
    this.#dir = dir;
    this.#project = project;
    Deno.mkdirSync(`${dir}/logs`, { recursive: true });
  }

  async machine(name: string): Promise<Machine> {
    if (!this.#first) this.#namespaces.add(await namespaceOf("self"));
    const own = ["unshare", "--net", "sleep", "infinity"];
    const holder = this.#first
      ? this.#run(name, enter(this.#first.pid, own))
      : this.#run(name, ["unshare", "--map-root-user", ...own.slice(1)]);
    this.#first ??= holder;
    this.#machines.set(name, holder);
    const inside = (words: readonly string[]) => enter(holder.pid, words);
    const machine: Machine = {
      name,
      sh: (line) => output(inside(["sh", "-ec", line])),
      start: (child, command, args) => this.#run(child, inside([command, ...args])),
    };
    await until(`namespace of ${name}`, async () => {
      const namespace = await namespaceOf(`${holder.pid}`);
      if (this.#namespaces.has(namespace)) return "not there yet";
      this.#namespaces.add(namespace);
      return true;
    });
    await machine.sh("ip link set lo up");
    return machine;
  }

  /** A cable: an interface of the same name as the other machine on each. */
  async connect(one: Machine, other: Machine): Promise<void> {
    const pid = this.#machines.get(other.name)!.pid;
    await one.sh(
      `ip link add name ${other.name} type veth peer name ${one.name} netns ${pid}; ` +
        `ip link set ${other.name} up`,
    );
    await other.sh(`ip link set ${one.name} up`);
  }

  async stop(): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop();
  }

  #run(name: string, [command, ...args]: readonly string[]): Child {
    const child = startChild({
      name,
      command: command!,
      args,
      cwd: this.#project,
      logFile: `${this.#dir}/logs/${name}.log`,
    });
    this.#children.push(child);
    return child;
  }
}

async function namespaceOf(pid: string): Promise<string> {
  return (await output(["readlink", `/proc/${pid}/ns/net`])).trim();
}

function enter(pid: number, words: readonly string[]): readonly string[] {
  return ["nsenter", "-t", `${pid}`, "-U", "-n", "--preserve-credentials", "--", ...words];
}

async function output([command, ...args]: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command!, { args }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(`${args.at(-1)}: ${new TextDecoder().decode(stderr)}${text}`);
  return text;
}
