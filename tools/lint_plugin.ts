// A lint rule: outside the edges, code is a function of what it is given.

/** What each word would bring in, and what to do instead. */
const REFUSED: Readonly<Record<string, string>> = {
  "Date.now": "Time is an input: use the context's nowMs.",
  "performance": "Time is an input: use the context's nowMs.",
  "Math.random": "Chance is an input: use the context's random().",
  "crypto": "Keys and random ids are an edge's work: send a command to its port.",
  "Deno": "The runtime is an edge's concern: move this to io/, or take the value as an argument.",
  "process":
    "The runtime is an edge's concern: move this to io/, or take the value as an argument.",
  "setTimeout": "Return a timer effect, which has a name and dies with its actor.",
  "setInterval": "Return a timer effect, and set it again when it is due.",
  "queueMicrotask": "Return a send effect: it is delivered after this turn.",
  "fetch": "Return a command effect: the answer comes back as a message.",
  "WebSocket": "Sockets live in io/.",
  "console": "Return a log effect, or let the edge print.",
};

const AWAIT = "A turn cannot wait: return a command effect, whose answer comes back as a message.";
const NEW_DATE = "Time is an input: pass it to new Date(), from the context's nowMs.";

/** Edges, composition, tools and tests may do all of it. */
export function isEdge(path: string): boolean {
  return /(^|\/)(io|cli|tools|tests|bench)\//.test(path) ||
    /(^|\/)(main|contract)\.ts$|_(test|bench|fuzz)\.ts$/.test(path);
}

const root = new URL("../", import.meta.url).pathname;

const pureOutsideEdges: Deno.lint.Rule = {
  create(context) {
    if (isEdge(context.filename.replace(root, ""))) return {};
    const report = (node: Deno.lint.Node, what: string, hint: string) =>
      context.report({ node, message: `${what} outside io/`, hint });
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.property.type !== "Identifier") return;
        const path = `${node.object.name}.${node.property.name}`;
        const hint = REFUSED[path] ?? REFUSED[node.object.name];
        if (hint) report(node, path, hint);
      },
      CallExpression(node) {
        if (node.callee.type !== "Identifier") return;
        const hint = REFUSED[node.callee.name];
        if (hint) report(node, `${node.callee.name}()`, hint);
      },
      NewExpression(node) {
        if (node.callee.type !== "Identifier") return;
        const { name } = node.callee;
        if (name === "Date" && node.arguments.length === 0) report(node, "new Date()", NEW_DATE);
        else if (REFUSED[name]) report(node, `new ${name}()`, REFUSED[name]);
      },
      AwaitExpression(node) {
        report(node, "await", AWAIT);
      },
      ForOfStatement(node) {
        if (node.await) report(node, "for await", AWAIT);
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "ursa",
  rules: { "pure-outside-edges": pureOutsideEdges },
};
export default plugin;
