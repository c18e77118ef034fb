// What ctl needs of the world: given in by main.ts, and by tests.

import type { ResourceDescriptor } from "../../core/resource.ts";
import type { ContextStore } from "../contexts.ts";
import type { HttpClient } from "../io/http.ts";

export interface CtlIo {
  readonly kinds: readonly ResourceDescriptor[];
  readonly version: string;
  readonly contexts: ContextStore;
  /** Data, for stdout. */
  out(text: string): void;
  /** Prose, for stderr. */
  err(text: string): void;
  env(name: string): string | undefined;
  nowMs(): number;
  readFile(path: string): Promise<string>;
  readStdin(): Promise<string>;
  http(
    address: string,
    options: { readonly timeoutMs: number; readonly token?: string },
  ): HttpClient;
}
