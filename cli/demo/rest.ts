// The REST calls that the demo makes, as a user's script would.

import type { Receipt } from "../../core/receipt.ts";
import type { JsonObject } from "../../core/resource.ts";

export interface Written {
  readonly revision: number;
  /** When the answer was there: `performance.now()`. */
  readonly atMs: number;
}

export class Rest {
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  async get<T = JsonObject>(path: string): Promise<T> {
    return await (await this.#ask("GET", path)).json();
  }

  /** Null when there is no such thing. */
  async find<T = JsonObject>(path: string): Promise<T | null> {
    const response = await fetch(this.address + path);
    if (response.ok) return await response.json();
    await response.body?.cancel();
    if (response.status === 404) return null;
    throw new Error(`GET ${path}: ${response.status}`);
  }

  async put(path: string, body: JsonObject): Promise<Written> {
    return await this.#write("PUT", path, body);
  }

  /** A new token; null while there is no key to sign it with. */
  async token(kind: "dataplane" | "zone", claims: JsonObject): Promise<string | null> {
    const path = `/tokens/${kind}`;
    const response = await fetch(this.address + path, {
      method: "POST",
      body: JSON.stringify({ validFor: "24h", ...claims }),
      headers: { "content-type": "application/json" },
    });
    const text = await response.text();
    if (response.ok) return text;
    if (response.status === 404) return null;
    throw new Error(`POST ${path}: ${response.status} ${text}`);
  }

  async delete(path: string): Promise<Written> {
    return await this.#write("DELETE", path);
  }

  /** What `ursa ctl apply --wait` asks: who has this revision. */
  async receipt(revision: number, waitMs = 20_000): Promise<Receipt> {
    return await this.get<Receipt>(`/receipts/${revision}?wait=${waitMs}`);
  }

  async #write(method: string, path: string, body?: JsonObject): Promise<Written> {
    const response = await this.#ask(method, path, body);
    const { revision } = await response.json() as { revision: number };
    return { revision, atMs: performance.now() };
  }

  async #ask(method: string, path: string, body?: JsonObject): Promise<Response> {
    const response = await fetch(this.address + path, {
      method,
      ...(body
        ? { body: JSON.stringify(body), headers: { "content-type": "application/json" } }
        : {}),
    });
    if (response.ok) return response;
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  }
}

/** One line, as people read it: `9 of 9 proxies after 38 ms`. */
export function receiptText(receipt: Receipt): string {
  const zones = (receipt.zones ?? []).flatMap(({ zone, proxies, ms, lastAckMs }) => {
    const after = lastAckMs ?? ms;
    const who = proxies ? `${proxies.acked} of ${proxies.affected} proxies` : "delivered";
    return after === null ? [] : [`${zone}: ${who} after ${Math.round(after)} ms`];
  });
  if (zones.length > 0) return zones.join(", ");
  const { acked, affected } = receipt.proxies;
  return receipt.lastAckMs === null
    ? `${acked} of ${affected} proxies`
    : `${acked} of ${affected} proxies after ${Math.round(receipt.lastAckMs)} ms`;
}
