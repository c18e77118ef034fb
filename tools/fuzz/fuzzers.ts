// All fuzzers by name. Loaded when used: each brings the code that it attacks.

import type { Fuzzer } from "./fuzzer.ts";

export const FUZZERS: ReadonlyMap<string, () => Promise<Fuzzer>> = new Map([
  ["dns", async () => (await import("../../dns/io/wire_fuzz.ts")).fuzzer],
  ["ads", async () => (await import("../../xds/stream_fuzz.ts")).fuzzer],
  ["kds", async () => (await import("../../kds/session_fuzz.ts")).fuzzer],
  ["rest", async () => (await import("../../api/router_fuzz.ts")).fuzzer],
  ["yaml", async () => (await import("../../core/yaml_fuzz.ts")).fuzzer],
  ["tokens", async () => (await import("../../identity/tokens/tokens_fuzz.ts")).fuzzer],
  ["h2", async () => (await import("../../h2/guard_fuzz.ts")).fuzzer],
]);
