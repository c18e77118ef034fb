// The rules of layers.json, applied to imports.

import type { Edge } from "./module_graph.ts";

interface Layer {
  readonly name: string;
  readonly level: number;
  readonly files: readonly string[];
  /** Its top folders are neighbours who may not import each other. */
  readonly apart?: boolean;
}

/** Patterns, or names of layers. */
interface Rule {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly why: string;
}

export interface Layers {
  readonly layers: readonly Layer[];
  /** Sideways or upwards, and fine all the same. */
  readonly allowed: readonly Rule[];
  /** Downwards, and still not wanted. */
  readonly refused: readonly Rule[];
  /** Modules from outside the repository; whatever is not named is refused. */
  readonly external: readonly Rule[];
}

/** One line per import that breaks a rule; types count like code, since they tie files together too. */
export function brokenRules(edges: readonly Edge[], rules: Layers): string[] {
  const broken = edges.flatMap((edge) => {
    const why = whyBroken(edge, rules);
    return why === null ? [] : [`${edge.from} → ${edge.to} (${why})`];
  });
  return [...new Set(broken)].sort();
}

/** First of the layers whose patterns match. */
export function layerOf(file: string, { layers }: Layers): Layer | undefined {
  return layers.find(({ files }) => files.some((pattern) => matches(file, pattern)));
}

function whyBroken(edge: Edge, rules: Layers): string | null {
  if (edge.to.endsWith(".json")) return null;
  const from = layerOf(edge.from, rules);
  if (!from) return `${edge.from} is in no layer`;
  const named = (list: readonly Rule[]) => list.find((rule) => applies(rule, edge, rules));
  if (/^(npm|node|jsr|https?):/.test(edge.to)) {
    return named(rules.external) ? null : `${from.name} may not import this from outside`;
  }
  const refused = named(rules.refused);
  if (refused) return refused.why;
  const to = layerOf(edge.to, rules);
  if (!to) return `${edge.to} is in no layer`;
  if (to.level < from.level || from.name === "tests" || named(rules.allowed)) return null;
  const sameLayer = from === to && (!from.apart || groupOf(edge.from) === groupOf(edge.to));
  return sameLayer ? null : `${from.name} → ${to.name}`;
}

/** `actors/hub`, `policies/timeout`, `xds`, `xds/io`: who counts as one within a layer. */
function groupOf(file: string): string {
  const parts = file.split("/").slice(0, -1);
  const io = parts.indexOf("io");
  if (io >= 0) return parts.slice(0, io + 1).join("/");
  return parts.slice(0, ["actors", "policies"].includes(parts[0]!) ? 2 : 1).join("/");
}

function applies(rule: Rule, edge: Edge, rules: Layers): boolean {
  const covers = (words: readonly string[], file: string) =>
    words.some((word) => matches(file, word) || layerOf(file, rules)?.name === word);
  return covers(rule.from, edge.from) &&
    (covers(rule.to, edge.to) || covers(rule.to, packageOf(edge.to)));
}

/** `npm:@grpc/grpc-js@1.14.7/build` → `npm:@grpc/grpc-js`. */
export function packageOf(specifier: string): string {
  return /^npm:\/?((?:@[^/@]+\/)?[^/@]+)/.exec(specifier)?.[0].replace(":/", ":") ?? specifier;
}

/** `*` stays within a folder, `**` does not, and `** /` may be nothing. */
function matches(path: string, pattern: string): boolean {
  const source = pattern.split(/(\*\*\/|\*\*|\*)/).map((part) => {
    if (part === "**/") return "(?:.*/)?";
    if (part === "**") return ".*";
    if (part === "*") return "[^/]*";
    return part.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`).test(path);
}

/** Groups of files that import each other in a circle, by code imports. */
export function cycles(edges: readonly Edge[]): string[][] {
  const next = new Map<string, string[]>();
  for (const { from, to, typeOnly } of edges) {
    if (typeOnly || !to.endsWith(".ts")) continue;
    next.set(from, [...next.get(from) ?? [], to]);
  }
  const state = new Map<string, "open" | "done">();
  const path: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      found.push([...path.slice(path.indexOf(file)), file]);
      return;
    }
    state.set(file, "open");
    path.push(file);
    for (const to of next.get(file) ?? []) visit(to);
    path.pop();
    state.set(file, "done");
  };
  for (const file of next.keys()) visit(file);
  return found;
}
