// Where a JSON text goes wrong: the engine's own message often does not say.

const SPACE = /[ \t\r\n]*/y;
const TOKEN = /(?:[{}[\],:]|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
/** Parts of a string: one pattern for all of it would try them in every combination. */
const PLAIN = /[ !#-[\]-\uffff]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** What may come next. `*_or_end`: the closing bracket as well. */
type Expected =
  | "value"
  | "value_or_end"
  | "key"
  | "key_or_end"
  | "colon"
  | "comma_or_end"
  | "nothing";

/** Index of the first character that cannot be; the text's length when it ends too early. */
export function jsonMistakeAt(content: string): number {
  const open: string[] = [];
  let expected: Expected = "value";
  for (let at = 0;;) {
    at += matchAt(SPACE, content, at).length;
    const token = content[at] === '"' ? stringAt(content, at) : matchAt(TOKEN, content, at);
    const next: Expected | null = token === "" ? null : after(token, expected, open);
    if (next === null) return at;
    expected = next;
    at += token.length;
  }
}

/** "" when the pattern does not match there. */
function matchAt(pattern: RegExp, content: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(content)?.[0] ?? "";
}

/** With its quotes; "" when it does not end. */
function stringAt(content: string, start: number): string {
  for (let at = start + 1;;) {
    at += matchAt(PLAIN, content, at).length;
    if (content[at] === '"') return content.slice(start, at + 1);
    const escape = matchAt(ESCAPE, content, at);
    if (escape === "") return "";
    at += escape.length;
  }
}

/** The state after a token, or null when the token may not stand there. Keeps `open` up to date. */
function after(token: string, expected: Expected, open: string[]): Expected | null {
  const ended = (): Expected => open.length === 0 ? "nothing" : "comma_or_end";
  if (token === "}" || token === "]") {
    const closes = expected === "comma_or_end" ||
      expected === (token === "}" ? "key_or_end" : "value_or_end");
    return closes && open.pop() === (token === "}" ? "{" : "[") ? ended() : null;
  }
  switch (expected) {
    case "key":
    case "key_or_end":
      return token.startsWith('"') ? "colon" : null;
    case "colon":
      return token === ":" ? "value" : null;
    case "comma_or_end":
      if (token !== ",") return null;
      return open.at(-1) === "{" ? "key" : "value";
    case "value":
    case "value_or_end":
      if (token === "," || token === ":") return null;
      if (token !== "{" && token !== "[") return ended();
      open.push(token);
      return token === "{" ? "key_or_end" : "value_or_end";
    case "nothing":
      return null;
  }
}
