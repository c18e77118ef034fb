import assert from "node:assert/strict";
import { PROJECT } from "./one_cluster.ts";

Deno.test("soak, an hour and some seconds of it: everything comes back to where it began", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["task", "-q", "soak"],
      ...["--virtual-hours", "1", "--minutes", "0.33", "--clients", "30"],
    ],
    cwd: PROJECT,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  console.log(text);
  assert(success, `${text}\n${new TextDecoder().decode(stderr)}`);
  assert.match(text, /^1 virtual hours in/m);
  assert.match(text, /^after: .* entries$/m);
});
