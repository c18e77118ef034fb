// `ursa`: parses its arguments, runs the command, and maps its outcome to an exit code.

import { runMain } from "./cli/mod.ts";

Deno.exit(await runMain(Deno.args));
