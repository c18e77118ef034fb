// One invocation of ctl: which control plane it talks to, in which mesh, and how refusals read.

import type { JsonObject } from "../../core/resource.ts";
import { coordinatesOf, loadContexts } from "../contexts.ts";
import type { HttpAnswer, HttpClient } from "../io/http.ts";
import { CommandError, EXIT } from "../output.ts";
import type { CtlIo } from "./io.ts";
import { durationMs } from "./words.ts";

const ADDRESS_DEFAULT = "http://localhost:5681";

/** The options that every command knows. */
export interface GlobalOptions {
  readonly address?: string;
  readonly context?: string;
  readonly mesh?: string;
  readonly tokenFile?: string;
  readonly apiTimeout?: string;
}

export interface Session {
  readonly io: CtlIo;
  readonly http: HttpClient;
  readonly mesh: string;
}

/** Flag before variable before context before default. */
export async function openSession(io: CtlIo, options: GlobalOptions): Promise<Session> {
  const contexts = await loadContexts(io.contexts);
  const asked = options.context ?? io.env("URSA_CONTEXT");
  const name = asked ?? contexts.currentContext;
  const known = name === undefined ? undefined : coordinatesOf(contexts, name);
  if (asked !== undefined && !known) {
    throw new CommandError(
      `There is no context "${name}" in ${io.contexts.path}: ` +
        "see `ursa ctl config control-planes list`",
      EXIT.usage,
    );
  }
  const elsewhere = options.address ?? (options.context ? undefined : io.env("URSA_ADDRESS"));
  const address = elsewhere ?? known?.url ?? ADDRESS_DEFAULT;
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new CommandError(`"${address}" is not an http:// or https:// address`, EXIT.usage);
  }
  const apiTimeout = options.apiTimeout ?? io.env("URSA_API_TIMEOUT") ?? "1m";
  // A context's token is for its control plane: another address does not get to see it.
  const token = await givenToken(io, options) ??
    (elsewhere === undefined ? known?.token : undefined);
  if (token !== undefined && isReadableOnTheWay(address)) {
    io.err(`warning: the token goes to ${address} without TLS: everybody on the way can read it\n`);
  }
  return {
    io,
    http: io.http(address, {
      timeoutMs: durationMs(apiTimeout, "--api-timeout"),
      ...(token !== undefined && { token }),
    }),
    mesh: options.mesh ?? io.env("URSA_MESH") ?? known?.mesh ?? "default",
  };
}

function isReadableOnTheWay(address: string): boolean {
  const { protocol, hostname } = new URL(address);
  return protocol === "http:" && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname);
}

export async function givenToken(
  io: CtlIo,
  { tokenFile }: Pick<GlobalOptions, "tokenFile">,
): Promise<string | undefined> {
  const path = tokenFile ?? io.env("URSA_TOKEN_FILE");
  if (path === undefined) return undefined;
  const token = (await io.readFile(path)).trim();
  if (/^[A-Za-z0-9._-]+$/.test(token)) return token;
  throw new CommandError(`There is no token in ${path}: it must hold one, and nothing else`);
}

/** The JSON of an answer, or a CommandError that says what was tried, and what is wrong. */
export async function ask(
  { http }: Session,
  { method = "GET", path, body, what }: {
    readonly method?: string;
    readonly path: string;
    readonly body?: JsonObject;
    /** What is being tried: `apply TrafficRoute "split"`. */
    readonly what: string;
  },
): Promise<{ readonly status: number; readonly json: JsonObject }> {
  const answer = await http.request(method, path, body);
  if (answer.status < 300 && answer.json) return { status: answer.status, json: answer.json };
  throw new CommandError(`Cannot ${what}: ${refusalText(answer, http.address)}`);
}

export function refusalText({ status, text, json }: HttpAnswer, address: string): string {
  if (!json || typeof json["title"] !== "string") {
    const said = text.trim().split("\n")[0]?.slice(0, 200) ?? "";
    return `${address} answered ${status}${said && ` (${said})`}: is it a control plane?`;
  }
  const detail = String(json["detail"] ?? json["details"] ?? "").trim();
  const found = json["invalid_parameters"];
  const lines = Array.isArray(found)
    ? found.map((one) => `\n  ${(one as JsonObject)["field"]}: ${(one as JsonObject)["reason"]}`)
    : [];
  return `${json["title"]}: ${detail}${lines.join("")}`;
}

export function segment(name: string): string {
  return encodeURIComponent(name);
}
