import assert from "node:assert/strict";
import { Command, CommanderError, Option } from "commander";
import { inHouseStyle } from "./help.ts";

function program(): { readonly root: Command; readonly said: string[] } {
  const said: string[] = [];
  const root = new Command("ursa");
  root.addCommand(
    new Command("run")
      .addOption(new Option("--port <port>", "where").default("80").env("URSA_PORT"))
      .addOption(new Option("-k, --kind <kind>", "which").choices(["a", "b"]))
      .action(() => {}),
  );
  inHouseStyle(root);
  for (const command of [root, ...root.commands]) {
    command.configureOutput({ writeErr: (text) => void said.push(text) });
  }
  return { root, said };
}

Deno.test("inHouseStyle() shows options as manual pages do, with default and variable", () => {
  const help = program().root.commands[0]!.helpInformation();
  assert.match(help, /^ {6}--port PORT {2}where \(default: 80, env: URSA_PORT\)$/m);
  assert.match(help, /^ {2}-k, --kind KIND {2}which \(a\|b\)$/m);
});

Deno.test("inHouseStyle() names the nearest word and the help to read", async () => {
  const { root, said } = program();
  await assert.rejects(root.parseAsync(["rnu"], { from: "user" }), CommanderError);
  assert.match(said.join(""), /Did you mean run\?/);
  await assert.rejects(root.parseAsync(["run", "--prt", "1"], { from: "user" }), CommanderError);
  assert.match(said.join(""), /See `ursa run --help`\./);
});
