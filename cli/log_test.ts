import assert from "node:assert/strict";
import { type LogOptions, openLog } from "./log.ts";

function linesOf(
  options: Pick<LogOptions, "level" | "format">,
  use: (log: ReturnType<typeof openLog>) => void,
) {
  const lines: string[] = [];
  use(openLog({ ...options, write: (line) => lines.push(line), nowMs: () => 0 }));
  return lines;
}

Deno.test("openLog() writes logfmt, quoting what needs it", () => {
  const lines = linesOf({ level: "info", format: "logfmt" }, (log) => {
    log("info", "proxy joined", {
      proxy: "web-1",
      ms: 1.5,
      error: 'a "b"\nc',
      tags: ["x"],
      empty: "",
    });
  });
  assert.deepEqual(lines, [
    "time=1970-01-01T00:00:00.000Z level=info " +
    String
      .raw`message="proxy joined" proxy=web-1 ms=1.5 error="a \"b\"\nc" tags="[\"x\"]" empty=""` +
    "\n",
  ]);
});

Deno.test("openLog() writes one JSON object a line", () => {
  const [line] = linesOf({ level: "info", format: "json" }, (log) => log("warn", "m", { a: [1] }));
  assert.deepEqual(JSON.parse(line!), {
    time: "1970-01-01T00:00:00.000Z",
    level: "warn",
    message: "m",
    a: [1],
  });
});

Deno.test("openLog() leaves out what is below its level", () => {
  const lines = linesOf({ level: "warn", format: "logfmt" }, (log) => {
    for (const level of ["debug", "info", "warn", "error"] as const) log(level, level);
  });
  assert.deepEqual(lines.map((line) => /level=(\w+)/.exec(line)![1]), ["warn", "error"]);
});
