import assert from "node:assert/strict";
import { pauseMs } from "./backoff.ts";

const CASES = [
  { attempts: 1, answered: false, most: 250 },
  { attempts: 1, answered: true, most: 250 },
  { attempts: 3, answered: true, most: 1_000 },
  { attempts: 5, answered: false, most: 4_000 },
  { attempts: 5, answered: true, most: 4_000 },
  { attempts: 6, answered: false, most: 4_000 },
  { attempts: 6, answered: true, most: 8_000 },
  { attempts: 5_000, answered: false, most: 4_000 },
  { attempts: 5_000, answered: true, most: 15_000 },
];

for (const { attempts, answered, most } of CASES) {
  const whom = answered ? "a global that answered" : "a global that nobody reached";
  Deno.test(`pauseMs() is up to ${most} ms after ${attempts} failures with ${whom}`, () => {
    const at = (share: number) => pauseMs({ attempts, answered, random: () => share });
    assert.deepEqual([at(0), at(0.5), at(1)], [0, most / 2, most]);
  });
}
