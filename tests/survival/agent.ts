// One attempt from a machine of its own: told in JSON what to try, it prints in JSON what came of it.

import { connect } from "node:net";
import { Load, MeshClient } from "../../cli/demo/client.ts";
import { pause } from "../../cli/demo/until.ts";

export type Order =
  | { readonly do: "rest"; readonly method: string; readonly url: string; readonly body?: unknown }
  /** New connections as a workload makes them: DNS, virtual IP, Envoy. */
  | {
    readonly do: "load";
    readonly name: string;
    readonly perSecond: number;
    readonly seconds: number;
  }
  /** Whether anybody accepts a connection. */
  | { readonly do: "dial"; readonly host: string; readonly port: number };

export interface RestAnswer {
  readonly status: number;
  readonly text: string;
}

export interface LoadResult {
  readonly sent: number;
  readonly failed: number;
  readonly firstError: string;
  /** Answers by the zone that gave them. */
  readonly byZone: Readonly<Record<string, number>>;
}

/** `connected`, or why not. */
export type DialResult = string;

const DNS = "udp://127.0.0.1:5653";
const VIP_PORT = 80;
const DIAL_MS_MAX = 2_000;

if (import.meta.main) {
  console.log(JSON.stringify(await obey(JSON.parse(Deno.args[0]!))));
  Deno.exit(0);
}

async function obey(order: Order): Promise<RestAnswer | LoadResult | DialResult> {
  switch (order.do) {
    case "rest":
      return await ask(order);
    case "load":
      return await call(order);
    case "dial":
      return await dial(order);
  }
}

async function ask({ method, url, body }: Order & { readonly do: "rest" }): Promise<RestAnswer> {
  const response = await fetch(url, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    }),
  });
  return { status: response.status, text: await response.text() };
}

async function call(
  { name, perSecond, seconds }: Order & { readonly do: "load" },
): Promise<LoadResult> {
  const client = new MeshClient(DNS, VIP_PORT);
  const load = new Load(perSecond, () => client.call(name));
  await pause(seconds * 1_000);
  const { outcomes, failures } = await load.stop();
  return {
    sent: outcomes.length,
    failed: failures.length,
    firstError: failures[0]?.reply.error ?? "",
    byZone: load.byZone(),
  };
}

function dial({ host, port }: Order & { readonly do: "dial" }): Promise<DialResult> {
  return new Promise((done) => {
    const socket = connect({ host, port }, () => end("connected"));
    const patience = setTimeout(() => end("no answer"), DIAL_MS_MAX);
    const end = (how: string) => {
      clearTimeout(patience);
      socket.destroy();
      done(how);
    };
    socket.on("error", (error: Error & { code?: string }) => end(error.code ?? error.message));
  });
}
