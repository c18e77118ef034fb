// Properties try the same cases in every run, so that a change is what makes them fail; `URSA_SEED`
// names other cases, and what a new seed finds gets a test of its own.

import fc from "fast-check";

fc.configureGlobal({ seed: Number(Deno.env.get("URSA_SEED") ?? 1) });
