// Runs every generator; with --check, only tells which of their files are stale.

const GENERATORS = ["gen.ts", "gen_policies.ts", "gen_deps.ts", "architecture.ts"];

let stale = 0;
for (const generator of GENERATORS) {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-P=test", import.meta.resolve(`./${generator}`), ...Deno.args],
  }).spawn().status;
  if (!success) stale++;
}
if (stale > 0) Deno.exit(1);
