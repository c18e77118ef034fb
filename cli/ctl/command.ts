// How commands of ctl are built: with a session, and with examples.

import type { Command } from "commander";
import type { CtlIo } from "./io.ts";
import { type GlobalOptions, openSession, type Session } from "./session.ts";

/** Commander calls actions with arguments, options, command: the session comes first instead. */
export function sessions(io: CtlIo) {
  return <Args extends unknown[]>(
    action: (session: Session, ...args: Args) => Promise<void> | void,
  ) =>
  async (...given: unknown[]): Promise<void> => {
    const command = given.at(-1) as Command;
    const session = await openSession(io, command.optsWithGlobals<GlobalOptions>());
    await action(session, ...given.slice(0, -1) as Args);
  };
}

export function withExamples(command: Command, examples: readonly [string, string]): Command {
  return command.addHelpText(
    "after",
    `\nExamples:\n${examples.map((one) => `  $ ${one}\n`).join("")}`,
  );
}
