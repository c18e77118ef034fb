// How every help page and every usage error of `ursa` looks, said once for the whole program.

import type { Command, Option } from "commander";

const WIDTH_MAX = 100;

/** Also for the commands below it. */
export function inHouseStyle(command: Command): void {
  command.exitOverride();
  command.helpOption("-h, --help", "show this help");
  command.showHelpAfterError(`See \`${pathOf(command)} --help\`.`);
  command.configureOutput(PLAIN_OUTPUT);
  command.configureHelp({ optionTerm, optionDescription, subcommandTerm: (it) => it.name() });
  if (command.parent) command.helpCommand(false);
  else command.helpCommand("help [command]", "Show the help of a command");
  for (const child of command.commands) inHouseStyle(child);
}

/**
 * Without these commander would ask NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE, and fail where the
 * permissions do not let it. Nothing is coloured, so nobody has to ask.
 */
const PLAIN_OUTPUT = {
  getOutHasColors: () => false,
  getErrHasColors: () => false,
  getOutHelpWidth: width,
  getErrHelpWidth: width,
} as const;

function width(): number {
  try {
    return Math.min(WIDTH_MAX, Deno.consoleSize().columns);
  } catch {
    // Not a terminal.
    return WIDTH_MAX;
  }
}

/** `--zone NAME`, as manual pages have it. */
function optionTerm({ flags, short }: Option): string {
  const term = flags.replace(/<([^>]+)>/, (_, name: string) => name.toUpperCase());
  return short ? term : `    ${term}`;
}

function optionDescription(option: Option): string {
  const { description, argChoices, defaultValue, defaultValueDescription, envVar } = option;
  const fallback = defaultValueDescription ??
    (typeof defaultValue === "string" || typeof defaultValue === "number" ? defaultValue : null);
  const notes = [
    argChoices && argChoices.join("|"),
    fallback !== null && fallback !== "" && `default: ${fallback}`,
    envVar && `env: ${envVar}`,
  ].filter((note) => typeof note === "string");
  return notes.length === 0 ? description : `${description} (${notes.join(", ")})`;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
