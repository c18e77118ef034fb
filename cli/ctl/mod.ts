// `ursa ctl`: the client of the REST API, in kumactl's words. Data goes to stdout, prose to stderr;
// nothing is coloured, so NO_COLOR needs no care.
//
// Exit codes: 0 done, 1 refused or unreachable, 2 usage, 3 a check failed. Every action throws a
// CommandError when it fails; whoever runs the tree maps it with cli/output.ts.

import { Command, Option } from "commander";
import { inHouseStyle } from "../help.ts";
import { errorText, exitCodeOf } from "../output.ts";
import { apply, type ApplyOptions } from "./apply.ts";
import { check } from "./check.ts";
import { sessions, withExamples } from "./command.ts";
import {
  type AddOptions,
  addPlane,
  listPlanes,
  removePlane,
  switchPlane,
  viewContexts,
} from "./config.ts";
import { addGenerateCommands } from "./generate.ts";
import { get, type GetOptions, OUTPUTS, remove } from "./get.ts";
import { debugActors, inspect, type InspectOptions } from "./inspect.ts";
import { inspectPolicies, inspectPolicy } from "./inspect_policies.ts";
import type { CtlIo } from "./io.ts";
import { showReceipt } from "./receipt.ts";
import { ask, type Session } from "./session.ts";
import { revisionNumber, typeList } from "./words.ts";
import { addZoneCommands } from "./zone.ts";

export type { CtlIo } from "./io.ts";

export function buildCtl(io: CtlIo): Command {
  const ctl = new Command("ctl")
    .description("Talk to a control plane: apply, get, delete and inspect resources")
    .option("--address <url>", "the control plane's API (env: URSA_ADDRESS)")
    .option(
      "--context <name>",
      "a context of `ursa ctl config control-planes list` (env: URSA_CONTEXT)",
    )
    .option(
      "--token-file <file>",
      "a user token to say who asks (default: the context's, env: URSA_TOKEN_FILE)",
    )
    .option("-m, --mesh <mesh>", "the mesh (default: the context's, else default, env: URSA_MESH)")
    .option(
      "--api-timeout <duration>",
      "how long one request may take (default: 1m, env: URSA_API_TIMEOUT)",
    );
  ctl.configureOutput({
    writeOut: (text) => io.out(text),
    writeErr: (text) => io.err(text),
  });
  withExamples(ctl, ["ursa ctl get meshes", "ursa ctl apply -f mesh.yaml --wait"]);
  addResourceCommands(ctl, io);
  addInspectCommands(ctl, io);
  addReceiptCommand(ctl, io);
  addCheckCommand(ctl, io);
  addDebugCommands(ctl, io);
  addZoneCommands(ctl, io);
  addGenerateCommands(ctl, io);
  addConfigCommands(ctl, io);
  return ctl;
}

/** Runs ctl on its own; `args` are the words after `ctl`. */
export async function runCtl(io: CtlIo, args: readonly string[]): Promise<number> {
  try {
    const ctl = buildCtl(io);
    inHouseStyle(ctl);
    await ctl.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    io.err(errorText(error));
    return exitCodeOf(error);
  }
}

function addResourceCommands(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  withExamples(
    ctl.command("apply")
      .description("Create or update resources from YAML or JSON, one or several documents")
      .requiredOption("-f, --file <file...>", "files to read; - is standard input")
      .option("-v, --var <key=value...>", "value of a {{ key }} in the text", [])
      .option("--dry-run", "let the control plane judge it, and show what would change", false)
      .option("--wait", "until every affected proxy has the change", false)
      .option("--timeout <duration>", "how long --wait waits for a change", "30s")
      .action(withSession<[ApplyOptions]>((session, options) => apply(session, options))),
    ["ursa ctl apply -f route.yaml --wait --timeout 10s", "cat mesh.yaml | ursa ctl apply -f -"],
  );
  withExamples(
    ctl.command("get")
      .description("Show resources")
      .argument("<type>", typeList(io.kinds))
      .argument("[name]", "one of them")
      .option("-A, --all-meshes", "over all meshes", false)
      .addOption(
        new Option("-o, --output <format>", "how to print").choices(OUTPUTS).default("table"),
      )
      .option("--no-headers", "leave out the first line of tables")
      .option("--size <number>", "one page of this size")
      .option("--offset <offset>", "where the page begins")
      .action(withSession<[string, string | undefined, GetOptions]>(
        (session, type, name, options) =>
          get(session, { type, ...(name !== undefined && { name }) }, options),
      )),
    ["ursa ctl get dataplanes --all-meshes", "ursa ctl get traffic-route split -o yaml"],
  );
  withExamples(
    ctl.command("delete")
      .description("Delete a resource")
      .argument("<type>", typeList(io.kinds))
      .argument("<name>")
      .action(withSession<[string, string]>(
        (session, type, name) => remove(session, { type, name }),
      )),
    ["ursa ctl delete traffic-route split", "ursa ctl delete dataplane web-1 -m shop"],
  );
}

function addInspectCommands(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  const inspected = ctl.command("inspect").description("Show resources and what became of them");
  for (const { word, type, what, example } of INSPECTED) {
    const command = printed(inspected.command(word).description(what));
    if (IN_MESHES.has(type)) command.option("-A, --all-meshes", "over all meshes", false);
    command.action(
      withSession<[InspectOptions]>((session, options) => inspect(session, type, options)),
    );
    withExamples(command, [`ursa ctl inspect ${word}`, `ursa ctl inspect ${word} ${example}`]);
  }
  withExamples(
    printed(
      inspected.command("policies")
        .description("The policies of a dataplane, by the part of it where they won")
        .argument("<dataplane>"),
    ).action(withSession<[string, InspectOptions]>(inspectPolicies)),
    ["ursa ctl inspect policies web-1", "ursa ctl inspect policies web-1 -m shop -o json"],
  );
  withExamples(
    printed(
      inspected.command("policy")
        .description("The dataplanes where a policy won, and the part of each")
        .argument("<type>", "such as traffic-permission or meshtimeout")
        .argument("<name>"),
    ).action(
      withSession<[string, string, InspectOptions]>((session, type, name, options) =>
        inspectPolicy(session, { type, name }, options)
      ),
    ),
    [
      "ursa ctl inspect policy traffic-route split",
      "ursa ctl inspect policy meshtimeout all -m shop",
    ],
  );
  withExamples(inspected, ["ursa ctl inspect dataplanes", "ursa ctl inspect zones -o json"]);
}

/** With the options of whatever is printed as a table. */
function printed(command: Command): Command {
  return command
    .addOption(
      new Option("-o, --output <format>", "how to print").choices(["table", "yaml", "json"])
        .default("table"),
    )
    .option("--no-headers", "leave out the first line of the table");
}

function addReceiptCommand(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  withExamples(
    ctl.command("receipt")
      .description("Tell which proxies have a change, and which refused it")
      .argument("<revision>", "the number that apply printed")
      .addOption(
        new Option("-o, --output <format>", "how to print").choices(["text", "json"])
          .default("text"),
      )
      .action(
        withSession<[string, { output: string }]>((session, revision, options) =>
          showReceipt(session, revisionNumber(revision), options)
        ),
      ),
    ["ursa ctl receipt 42", "ursa ctl receipt 42 -o json"],
  );
}

function addCheckCommand(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  withExamples(
    printed(
      ctl.command("check").description(
        "List what is kept without effect: types and fields that no proxy notices yet, and what " +
          "other control planes accepted. Exit status 0: there is none, 3: there is some",
      ),
    ).action(withSession<[InspectOptions]>(check)),
    ["ursa ctl check", "ursa ctl check -o json"],
  );
}

function addDebugCommands(ctl: Command, io: CtlIo): void {
  const withSession = sessions(io);
  const debug = ctl.command("debug").description("Look inside a control plane");
  withExamples(
    printed(
      debug.command("actors").description("The live actors, their mailboxes, turns and restarts"),
    ).action(withSession<[InspectOptions]>(debugActors)),
    ["ursa ctl debug actors", "ursa ctl debug actors -o json"],
  );
  withExamples(debug, [
    "ursa ctl debug actors",
    "ursa ctl debug actors --address http://[::1]:5681",
  ]);
}

const INSPECTED = [
  {
    word: "dataplanes",
    type: "Dataplane",
    what: "Dataplanes, their streams and versions",
    example: "--all-meshes",
  },
  { word: "zones", type: "Zone", what: "Zones, their streams and versions", example: "-o json" },
  {
    word: "zoneingresses",
    type: "ZoneIngress",
    what: "ZoneIngresses, their streams and versions",
    example: "-o yaml",
  },
  {
    word: "zoneegresses",
    type: "ZoneEgress",
    what: "ZoneEgresses, their streams and versions",
    example: "-o yaml",
  },
  {
    word: "meshes",
    type: "MeshInsight",
    what: "Meshes: how many dataplanes are there, services and policies",
    example: "-o json",
  },
  {
    word: "services",
    type: "ServiceInsight",
    what: "Services: how many of their dataplanes are there",
    example: "--all-meshes",
  },
] as const;

const IN_MESHES: ReadonlySet<string> = new Set(["Dataplane", "ServiceInsight"]);

function addConfigCommands(ctl: Command, io: CtlIo): void {
  const config = ctl.command("config").description("The contexts: which control planes ctl knows");
  withExamples(
    config.command("view").description("Print the contexts file")
      .action(() => viewContexts(io)),
    ["ursa ctl config view", "URSA_CONFIG_DIR=~/.ursa-staging ursa ctl config view"],
  );
  const planes = config.command("control-planes").description("Add, list, switch and remove them");
  withExamples(
    planes.command("add").description("Remember a control plane, and use it from now on")
      .requiredOption("--name <name>", "what to call it")
      .option("--address <url>", "its API, required")
      .option("--mesh <mesh>", "the mesh that commands mean without -m")
      .option("--skip-check", "without asking whether it answers", false)
      .action((_, command: Command) => addPlane(io, command.optsWithGlobals<AddOptions>())),
    [
      "ursa ctl config control-planes add --name east --address http://localhost:15681",
      "ursa ctl config control-planes add --name prod --address http://10.0.0.5:5681 --mesh shop",
    ],
  );
  withExamples(
    planes.command("list").description("The control planes; * marks the one in use")
      .action(() => listPlanes(io)),
    [
      "ursa ctl config control-planes list",
      "URSA_CONFIG_DIR=~/.ursa-staging ursa ctl config control-planes list",
    ],
  );
  withExamples(
    planes.command("switch").description("Use another one").argument("<name>")
      .action((name: string) => switchPlane(io, name)),
    ["ursa ctl config control-planes switch east", "ursa ctl config control-planes switch prod"],
  );
  withExamples(
    planes.command("remove").description("Forget one").argument("<name>")
      .action((name: string) => removePlane(io, name)),
    ["ursa ctl config control-planes remove east", "ursa ctl config control-planes remove prod"],
  );
  withExamples(planes, [
    "ursa ctl config control-planes list",
    "ursa ctl config control-planes switch east",
  ]);
  withExamples(config, ["ursa ctl config view", "ursa ctl config control-planes list"]);
  withExamples(
    ctl.command("version").description("Versions of ctl and of the control plane")
      .action(sessions(io)<[]>(showVersion)),
    ["ursa ctl version", "ursa ctl version --address http://localhost:15681"],
  );
}

async function showVersion(session: Session): Promise<void> {
  const { io } = session;
  io.out(`ctl: ursa ${io.version}\n`);
  const { json } = await ask(session, { path: "/", what: "ask for the version" });
  const ursa = json["ursaVersion"];
  const speaks = `${json["product"] ?? json["tagline"]} ${json["version"]}`;
  io.out(`control plane: ${ursa ? `ursa ${ursa}, speaks ${speaks}` : speaks}\n`);
}
