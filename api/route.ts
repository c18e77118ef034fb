// A route: a method, a path with places for names, and who answers.

import { answer, type ApiAnswer, type ApiOutcome, type ApiRequest } from "./exchange.ts";
import type { ApiView } from "./ports.ts";

/** One call on its way to its handler. */
export interface Call {
  readonly request: ApiRequest;
  readonly view: ApiView;
  /** What stood in the places of the path, by their names. */
  readonly params: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: "GET" | "POST";
  /** `{name}` stands for one segment, whatever it is. */
  readonly path: string;
  readonly handler: (call: Call) => ApiOutcome;
}

/** A GET that is answered from what is there. */
export function get(path: string, handler: (call: Call) => ApiAnswer): Route {
  return { method: "GET", path, handler: (call) => answer(handler(call)) };
}

export interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

/** Finds routes by path; of several that fit, the one with a name where others have a place. */
export class RouteTable {
  readonly #root: Node = newNode();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      let node = this.#root;
      for (const segment of segmentsOf(route.path)) {
        const key = PLACE.test(segment) ? ANY : segment;
        let next = node.next.get(key);
        if (!next) node.next.set(key, next = newNode());
        node = next;
      }
      node.routes.push(route);
    }
  }

  /** Those of the path, whatever their method; no route of them is called for another path. */
  find(path: readonly string[]): readonly Found[] {
    return search(this.#root, path).map((route) => ({ route, params: paramsOf(route, path) }));
  }
}

interface Node {
  readonly next: Map<string, Node>;
  readonly routes: Route[];
}

const PLACE = /^\{(.+)\}$/;
/** No segment of a path is empty. */
const ANY = "";

function newNode(): Node {
  return { next: new Map(), routes: [] };
}

function segmentsOf(path: string): readonly string[] {
  return path.split("/").filter((segment) => segment !== "");
}

function search(node: Node, [first, ...rest]: readonly string[]): readonly Route[] {
  if (first === undefined) return node.routes;
  for (const key of [first, ANY]) {
    const next = node.next.get(key);
    const found = next ? search(next, rest) : [];
    if (found.length > 0) return found;
  }
  return [];
}

function paramsOf({ path }: Route, given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    segmentsOf(path).flatMap((segment, index) => {
      const name = PLACE.exec(segment)?.[1];
      return name ? [[name, given[index] ?? ""]] : [];
    }),
  );
}
