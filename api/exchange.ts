// One REST call as values: the request that came, and what is to be done about it.

import type { EnvoyAnswer, EnvoyQuestion } from "../core/envoy_admin.ts";
import type { Json, ResourceKey } from "../core/resource.ts";
import type { Receipt } from "../core/receipt.ts";
import type { TokenOrder } from "../core/token.ts";
import type { User } from "./access.ts";
import type { AcceptGlobalAnswer, IssueAnswer, WriteAnswer, WriteOp } from "./ports.ts";

/** A request before anybody knows whose it is. */
export interface IncomingRequest {
  readonly method: string;
  /** Decoded path segments; `/` is the empty list. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** Full URL, for the `next` link of lists. */
  readonly url: string;
  /** Address of the other end of the connection. */
  readonly peer: string;
  /** When it came, in epoch milliseconds. */
  readonly atMs: number;
}

export interface ApiRequest extends IncomingRequest {
  readonly user: User;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A handler answers, or names an effect and says how its result reads. */
export type ApiOutcome =
  | { readonly do: "answer"; readonly answer: ApiAnswer }
  | {
    readonly do: "write";
    readonly ops: readonly WriteOp[];
    readonly then: (result: WriteAnswer) => ApiAnswer;
  }
  | {
    readonly do: "await_receipt";
    readonly revision: number;
    readonly waitMs: number;
    readonly then: (receipt: Receipt | undefined) => ApiAnswer;
  }
  | {
    readonly do: "ask_envoy";
    readonly proxy: ResourceKey;
    readonly question: EnvoyQuestion;
    readonly then: (result: EnvoyAnswer) => ApiAnswer;
  }
  | {
    readonly do: "issue_token";
    readonly order: TokenOrder;
    /** Name of the user who asked, for the log. */
    readonly by: string;
    readonly then: (result: IssueAnswer) => ApiAnswer;
  }
  | { readonly do: "accept_global"; readonly then: (result: AcceptGlobalAnswer) => ApiAnswer };

export function answer(value: ApiAnswer): ApiOutcome {
  return { do: "answer", answer: value };
}

/** Indented by one space, as Kuma's: kuma@v2.13.10:pkg/api-server/server.go. */
export function json(
  value: Json,
  { status = 200, headers = {} }: {
    readonly status?: number;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): ApiAnswer {
  return {
    status,
    headers: { "content-type": "application/json", ...headers },
    body: `${JSON.stringify(value, null, 1)}\n`,
  };
}

export function text(body: string, status = 200, contentType = "text/plain"): ApiAnswer {
  return { status, headers: { "content-type": contentType }, body };
}
