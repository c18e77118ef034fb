// Fuzzes the reading of YAML and JSON from outside: what comes out is JSON, of bounded size, and the
// same when it is written and read again.

import assert from "node:assert/strict";
import { parseBody } from "../api/body.ts";
import { parseProxyResource } from "../dataplane/resource.ts";
import { type Dice, type Fuzzer, shapeOf, utf8 } from "../tools/fuzz/fuzzer.ts";
import { assertJson, mutateJson, sizeOf } from "../tools/fuzz/json_mutations.ts";
import { isDeeper, sameJson } from "./json.ts";
import { parseYaml } from "./yaml.ts";

/** What api/body.ts lets through. */
const BODY_DEPTH_MAX = 64;
/** Each of a hundred aliases may stand for all of the text. */
const GROWTH_MAX = 101;
/** A sentence or two: whoever wrote a long key knows it already. */
const MESSAGE_CHARS_MAX = 1_000;

const DATAPLANE = {
  type: "Dataplane",
  mesh: "default",
  name: "web-1",
  labels: { team: "a" },
  networking: {
    address: "127.0.0.1",
    inbound: [{ port: 80, servicePort: 8080, tags: { "kuma.io/service": "web" } }],
  },
};

const EXAMPLES = [
  `type: Dataplane
mesh: default
name: web-1
networking:
  address: 127.0.0.1
  inbound:
    - port: 80 # comment
      tags: {kuma.io/service: web, "kuma.io/protocol": 'http'}
`,
  "a: &x {b: 1, c: [true, null, ~]}\nd: *x\ne: &y [*x, *x]\nf: [*y, *y]\n",
  'text: |\n  line\n  line\nfolded: >-\n  one\n  two\nquoted: "\\u00e9\\n"\n? key\n: value\n',
  "%YAML 1.1\n---\na: !!binary aGVsbG8=\nb: 2001-01-01\nc: 0o17\nd: 1_000\n<<: {e: 1}\n",
  "- 0x1F\n- 1e3\n- .inf\n- -.INF\n- .nan\n- 12345678901234567890\n- 0o14\n- +12\n",
  "!!map {a: !!str 1, b: !!int '2', c: !<tag:x,2000:y> z}\n",
  JSON.stringify(DATAPLANE),
  JSON.stringify(DATAPLANE, null, 2),
  '{"a":[1,-0.5e10,"\\ud83d\\ude00",{"b":{}}],"":null}',
  "",
  "--- a\n...\n--- b\n",
];

function check(input: Uint8Array): string {
  const text = new TextDecoder().decode(input);
  const parsed = parseYaml(text);
  // To read it once more takes as long again: some of the time is enough.
  if (input.length % 4 === 0) checkBodies(input);
  if (input.length % 4 === 1) checkResource(text);
  if (!parsed.ok) {
    assert(parsed.message !== "" && parsed.message.length <= MESSAGE_CHARS_MAX, parsed.message);
    const { at } = parsed;
    assert(at === null || Number.isInteger(at) && at >= 0 && at <= text.length, `at ${at}`);
    return `refused: ${shapeOf(parsed.message)}`;
  }
  const { value } = parsed;
  const most = GROWTH_MAX * (text.length + 1);
  assert(sizeOf(value, most) <= most, "it grew beyond measure");
  if (isDeeper(value, 200)) return "deep";
  assertJson(value);
  if (input.length % 4 > 1) checkAgain(value);
  checkJson(text, value);
  return outline(value);
}

function checkAgain(value: unknown): void {
  const again = parseYaml(JSON.stringify(value));
  assert(again.ok, `as JSON it is refused: ${!again.ok && again.message}`);
  assert(sameJson(again.value, value), "as JSON it is another value");
}

/** JSON is YAML, and both readers must agree; where a key is there twice, YAML refuses. */
function checkJson(text: string, value: unknown): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return;
  }
  assert(sameJson(json, value), "JSON and YAML read it differently");
}

function checkBodies(input: Uint8Array): void {
  for (const format of ["json", "yaml"] as const) {
    const body = parseBody(input, format);
    if (body.ok) {
      assert(!isDeeper(body.value, BODY_DEPTH_MAX), "a body is too deep");
      assertJson(body.value);
    } else {
      assert(body.error.length <= MESSAGE_CHARS_MAX, `a sentence of ${body.error.length}`);
    }
  }
}

function checkResource(text: string): void {
  const read = parseProxyResource(text, "dataplane");
  if (read.ok) assertJson(read.resource);
  else for (const { message } of read.violations) assert(message.length <= MESSAGE_CHARS_MAX);
}

/** The kinds of values, two levels deep. */
function outline(value: unknown, levels = 2): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  if (levels === 0) return Array.isArray(value) ? "[…]" : "{…}";
  const inner = new Set(Object.values(value).map((item) => outline(item, levels - 1)));
  const list = [...inner].sort().join(" ");
  return Array.isArray(value) ? `[${list}]` : `{${list}}`;
}

// --- Mutations ----------------------------------------------------------------------------------

/** As JSON, a part of it changed. */
function changeValue(input: Uint8Array, dice: Dice): Uint8Array {
  const parsed = parseYaml(new TextDecoder().decode(input));
  if (!parsed.ok || isDeeper(parsed.value, 50) || sizeOf(parsed.value, 500) > 500) return input;
  const changed = JSON.stringify(mutateJson(parsed.value ?? null, dice), null, dice.below(3));
  // Without quotes and braces most of it is YAML still.
  return utf8(dice.oneIn(3) ? changed.replaceAll(/"([\w./-]+)"/g, "$1") : changed);
}

/** A line again, in another place, with another indentation. */
function moveLine(input: Uint8Array, dice: Dice): Uint8Array {
  const lines = new TextDecoder().decode(input).split("\n");
  const line = " ".repeat(dice.below(5)) + dice.pick(lines).trimStart();
  lines.splice(dice.below(lines.length + 1), dice.below(2), line);
  return utf8(lines.join("\n"));
}

function nest(input: Uint8Array, dice: Dice): Uint8Array {
  const times = 1 + dice.below(dice.oneIn(64) ? 300 : 8);
  const open = dice.pick(["[", "{a: ", "- ", "? ", "[{", "&a [", "{? "]);
  return utf8(open.repeat(times) + new TextDecoder().decode(input));
}

/** References to references: each level twice as large as the one before. */
function bomb(_input: Uint8Array, dice: Dice): Uint8Array {
  const levels = 2 + dice.below(6);
  const width = 1 + dice.below(9);
  const lines = Array.from({ length: levels }, (_, level) => {
    const item = level === 0 ? "x" : `*a${level - 1 + (dice.oneIn(12) ? 1 : 0)}`;
    return `k${level}: &a${level} [${Array.from({ length: width }, () => item).join(",")}]`;
  });
  return utf8(`${lines.join("\n")}\n`);
}

const WORDS = [
  ...[
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "!!set ",
    "!!omap ",
    "!!timestamp ",
    "!!float ",
    "!!str ",
  ],
  ...["!t ", "!<x> ", "%YAML 1.1\n---\n", "%TAG ! x:\n---\n", "---\n", "...\n", "- ", "? ", ": "],
  ...["|\n", ">-\n", "|2+\n", "[", "]", "{", "}", ",", "#", " #", "'", '"', "\\u0000", "\\ud800"],
  ...[
    "\t",
    "\r\n",
    "\u2028",
    "\ufeff",
    "\0",
    "~",
    "null",
    "true",
    "yes",
    ".nan",
    ".inf",
    "0x",
    "0o7",
  ],
  ...[
    "1e999",
    "-0",
    "2001-01-01",
    "1:20",
    "__proto__: ",
    "constructor: ",
    "toJSON: ",
    "\n  ",
    "\n",
  ],
];

export const fuzzer: Fuzzer = {
  about: "YAML and JSON: bodies of requests, resources of proxies",
  corpus: EXAMPLES.map(utf8),
  words: WORDS.map(utf8),
  mutations: [changeValue, changeValue, moveLine, nest, bomb],
  bytesMax: 512,
  check,
};
