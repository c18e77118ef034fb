// The command table: every command of `ursa`, and the one place where errors become exit codes.

import { Command } from "commander";
import { buildDemo } from "./demo/demo.ts";
import { controlPlaneCommand } from "./control_plane.ts";
import { buildCtl } from "./ctl/mod.ts";
import { inHouseStyle } from "./help.ts";
import { denoCtlIo } from "./io/ctl_io.ts";
import { everyKind } from "./kinds.ts";
import { terminalIo } from "./io/terminal.ts";
import { buildDp } from "./dp.ts";
import { errorText, exitCodeOf } from "./output.ts";
import { runControlPlane } from "./run.ts";
import { VERSION } from "./version.ts";

const EXAMPLES = `
Examples:
  $ ursa demo                a mesh over two zones on this machine
  $ ursa standalone          one zone without a global
  $ ursa ctl get meshes      what the control plane on this machine knows

\`ursa COMMAND --help\` tells more. From a clone, \`deno task COMMAND\` stands for \`ursa COMMAND\`.`;

/** Runs one command line; resolves with the exit code. */
export async function runMain(args: readonly string[]): Promise<number> {
  const io = terminalIo();
  const program = new Command("ursa")
    .description(
      "A service mesh that spans zones: its control planes, its proxies, and the tool to run them",
    )
    .version(VERSION, "-V, --version", "print the version")
    .addHelpText("after", EXAMPLES);
  for (const mode of ["global", "remote", "standalone"] as const) {
    program.addCommand(controlPlaneCommand(mode, runControlPlane));
  }
  program.addCommand(buildDp({ version: VERSION, stdout: io.line, stderr: io.note }));
  program.addCommand(buildCtl(denoCtlIo({ kinds: everyKind().all(), version: VERSION })));
  program.addCommand(buildDemo(io).usage("[options]"));
  program.addCommand(
    new Command("version").description("Print the version").action(() =>
      io.line(`ursa ${VERSION}`)
    ),
  );
  inHouseStyle(program);
  try {
    await program.parseAsync([...args], { from: "user" });
    return io.exitCode();
  } catch (error) {
    const text = errorText(error);
    if (text) io.note(text.trimEnd());
    return exitCodeOf(error);
  }
}
