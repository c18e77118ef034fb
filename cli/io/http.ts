// The HTTP client of the command line.

import type { JsonObject } from "../../core/resource.ts";
import { CommandError } from "../output.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  /** The body when it is a JSON object, else null. */
  readonly json: JsonObject | null;
}

export interface HttpClient {
  readonly address: string;
  /** Throws a CommandError when nobody answers in time. */
  request(method: string, path: string, body?: JsonObject): Promise<HttpAnswer>;
}

export function httpClient(
  address: string,
  { timeoutMs, token }: { readonly timeoutMs: number; readonly token?: string },
): HttpClient {
  return {
    address,
    async request(method, path, body) {
      try {
        const response = await fetch(address.replace(/\/$/, "") + path, {
          method,
          headers: {
            accept: "application/json",
            "content-type": "application/json",
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
          },
          ...(body && { body: JSON.stringify(body) }),
          signal: AbortSignal.timeout(timeoutMs),
        });
        const text = await response.text();
        return { status: response.status, text, json: asObject(text) };
      } catch (error) {
        throw new CommandError(unreachableText(address, { error, timeoutMs }));
      }
    },
  };
}

function asObject(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function unreachableText(
  address: string,
  { error, timeoutMs }: { readonly error: unknown; readonly timeoutMs: number },
): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `The control plane at ${address} did not answer within ${timeoutMs} ms`;
  }
  if (error instanceof Deno.errors.NotCapable) return error.message;
  const chain = error instanceof Error ? innermost(error).message : String(error);
  // "error sending request for url (…): client error (Connect): …: Connection refused (os error 111)"
  const reason = chain.split(": ").at(-1)!.replace(/ \(os error \d+\)$/, "");
  return `Cannot reach the control plane at ${address}: ${reason}\n` +
    "Start one with `ursa standalone`, or name another with --address or URSA_ADDRESS.";
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error;
}
