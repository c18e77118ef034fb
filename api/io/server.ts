// The REST API's HTTP listener: requests in, handlers' outcomes carried out.

import type { ApiAnswer, ApiOutcome, IncomingRequest } from "../exchange.ts";
import type { ApiPorts, WriteAnswer } from "../ports.ts";
import { badRequest, problem } from "../problem.ts";
import { handle, routeOf } from "../router.ts";

/** The largest resource is far smaller; what is bigger is a mistake or an attack. */
export const BODY_BYTES_MAX = 1024 * 1024;
/** Someone else keeps changing the same resource: then the client shall decide. */
export const WRITE_TRIES = 5;

export interface ApiServer {
  readonly hostname: string;
  readonly port: number;
  /** Answers what is under way, waiting clients included, and stops listening. */
  close(): Promise<void>;
}

export interface ApiListener {
  readonly hostname: string;
  /** 0 is any free one. */
  readonly port: number;
  /** PEM; with them it speaks TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** Throws what the listener throws, such as Deno.errors.AddrInUse. */
export function serveApi(
  { hostname, port, tls }: ApiListener,
  ports: ApiPorts,
): ApiServer {
  const closing = new AbortController();
  const server = Deno.serve({
    hostname,
    port,
    ...(tls && { cert: tls.cert, key: tls.key }),
    onListen: () => {},
    onError: (error) => {
      ports.report?.(error);
      return respond(INTERNAL_ERROR);
    },
  }, (request, { remoteAddr }) =>
    answerCall(request, {
      ports,
      peer: "hostname" in remoteAddr ? remoteAddr.hostname : "",
      closing: closing.signal,
    }));
  return {
    hostname,
    port: server.addr.port,
    async close() {
      closing.abort();
      await server.shutdown();
    },
  };
}

interface Surroundings {
  readonly ports: ApiPorts;
  readonly peer: string;
  readonly closing: AbortSignal;
}

async function answerCall(request: Request, at: Surroundings): Promise<Response> {
  const call = await readCall(request, at.peer);
  const given = "status" in call ? call : await settle(call, at);
  const route = "status" in call ? "unknown" : routeOf(call.path, at.ports);
  at.ports.count?.("ursa_api_requests_total", {
    method: METHODS.has(request.method) ? request.method : "other",
    route,
    status: String(given.status),
  });
  return respond(given);
}

/** A client's own words never become label values. */
const METHODS = new Set(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]);

async function settle(call: IncomingRequest, at: Surroundings): Promise<ApiAnswer> {
  try {
    for (let tries = 1;; tries++) {
      const outcome = handle(call, at.ports);
      if (outcome.do !== "write") return await carryOut(outcome, at);
      const result = await at.ports.write(outcome.ops);
      if (!isConflict(result) || tries === WRITE_TRIES) return outcome.then(result);
      // Judged against a state that is gone: judge again.
    }
  } catch (error) {
    at.ports.report?.(error);
    return INTERNAL_ERROR;
  }
}

function isConflict(result: WriteAnswer): boolean {
  return !result.ok && result.reason === "conflict";
}

async function carryOut(
  outcome: Exclude<ApiOutcome, { do: "write" }>,
  { ports, closing }: Surroundings,
): Promise<ApiAnswer> {
  switch (outcome.do) {
    case "answer":
      return outcome.answer;
    case "ask_envoy":
      return outcome.then(await ports.envoyAdmin(outcome.proxy, outcome.question));
    case "issue_token":
      return outcome.then(ports.issueToken(outcome.order, outcome.by));
    case "accept_global":
      return outcome.then(await ports.acceptGlobal());
    case "await_receipt":
      return outcome.then(
        await ports.awaitReceipt(outcome.revision, { waitMs: outcome.waitMs, signal: closing }),
      );
  }
}

/** HTTP/2 has it in the address alone; who is an administrator depends on it. */
function withHost(headers: Headers, host: string): Headers {
  return headers.has("host") ? headers : new Headers([...headers, ["host", host]]);
}

async function readCall(request: Request, peer: string): Promise<IncomingRequest | ApiAnswer> {
  const url = new URL(request.url);
  const path = decodePath(url.pathname);
  if (!path) return badRequest("the path has a malformed percent-encoding");
  const body = await readBody(request);
  if (!body) {
    return problem({
      status: 413,
      title: "Request body too large",
      detail: `the body is larger than ${BODY_BYTES_MAX} bytes`,
      headers: { connection: "close" },
    });
  }
  const { method } = request;
  const headers = withHost(request.headers, url.host);
  const atMs = Date.now();
  return { method, path, query: url.searchParams, headers, body, url: url.href, peer, atMs };
}

function decodePath(pathname: string): readonly string[] | null {
  try {
    return pathname.split("/").filter((part) => part !== "").map(decodeURIComponent);
  } catch {
    return null;
  }
}

/** Null when it is over the limit; no more than the limit is ever held. */
async function readBody(request: Request): Promise<Uint8Array | null> {
  if (Number(request.headers.get("content-length") ?? "0") > BODY_BYTES_MAX) return null;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) return null;
    chunks.push(chunk);
  }
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.byteLength;
  }
  return body;
}

/** The reason is for the log, not for whoever asked. */
const INTERNAL_ERROR = problem({
  status: 500,
  title: "Internal Server Error",
  detail: "Internal Server Error",
});

function respond({ status, headers, body }: ApiAnswer): Response {
  return new Response(body, { status, headers });
}
