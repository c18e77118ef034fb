// A request that never ends: whoever drops its connection, on either side of any proxy, ends it.

import type { Workload } from "../../cli/demo/cluster.ts";
import type { ServiceAnswer } from "../../cli/demo/service.ts";

const TICK_MS = 50;
const TICKS = "/ticks";

/** Takes the place of a workload's service: it answers as before, and ticks for ever on `/ticks`. */
export async function tickingService(
  workload: Workload,
  zone: string,
): Promise<Deno.HttpServer> {
  const { proxy, spec } = workload;
  await workload.service.stop();
  const answer = { service: spec.service, zone, version: "v1" };
  return Deno.serve(
    { hostname: proxy.address, port: proxy.port + 1_000, onListen: () => {} },
    (request) => {
      const path = new URL(request.url).pathname;
      if (path === TICKS) return new Response(ticks());
      return Response.json({ ...answer, path } satisfies ServiceAnswer);
    },
  );
}

function ticks(): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setInterval>;
  return new ReadableStream({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new TextEncoder().encode(".")), TICK_MS);
    },
    cancel: () => clearInterval(timer),
  });
}

export interface LastingRequest {
  readonly ticks: number;
  /** Why it ended; empty while it goes on. */
  readonly ended: string;
  close(): Promise<void>;
}

/** Resolves with the first tick. */
export async function lastingRequest(
  to: { readonly host: string; readonly port: number; readonly name: string },
): Promise<LastingRequest> {
  const connection = await Deno.connect({ hostname: to.host, port: to.port });
  const head = `GET ${TICKS} HTTP/1.1\r\nhost: ${to.name}\r\n\r\n`;
  await connection.write(new TextEncoder().encode(head));
  const first = Promise.withResolvers<void>();
  const request = { ticks: 0, ended: "", close };
  let closed = false;
  const reading = read();
  async function read(): Promise<void> {
    try {
      for await (const part of connection.readable) {
        const text = new TextDecoder().decode(part);
        if (request.ticks === 0 && !text.startsWith("HTTP/1.1 200")) {
          throw new Error(text.slice(0, 200));
        }
        // The last chunk has no length: it says that the response is over.
        if (/(^|\n)0\r\n\r\n/.test(text)) throw new Error("the response came to its end");
        request.ticks++;
        first.resolve();
      }
      throw new Error("the connection was closed");
    } catch (error) {
      if (closed) return;
      request.ended = (error as Error).message;
      first.reject(error);
    }
  }
  async function close(): Promise<void> {
    closed = true;
    try {
      connection.close();
    } catch {
      // Ended by the other side.
    }
    await reading;
  }
  await first.promise;
  return request;
}
