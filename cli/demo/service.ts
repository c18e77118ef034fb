// A plain HTTP service for the demo: it says who it is. Knows nothing of meshes.

import { parseArgs } from "node:util";

export interface ServiceAnswer {
  readonly service: string;
  readonly zone: string;
  readonly version: string;
  readonly path: string;
}

/** Serves until SIGTERM. With --forward it is a gateway that hands everything on. */
export async function runService(words: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...words],
    options: {
      listen: { type: "string" },
      name: { type: "string", default: "" },
      zone: { type: "string", default: "" },
      version: { type: "string", default: "" },
      forward: { type: "string" },
    },
  });
  const [hostname = "", port = "0"] = (values.listen ?? "127.0.0.1:0").split(":");
  const { name, zone, version, forward } = values;
  const server = Deno.serve({
    hostname,
    port: Number(port),
    onListen: ({ hostname, port }) =>
      console.log(JSON.stringify({ ready: { url: `http://${hostname}:${port}` } })),
  }, (request) => {
    const { pathname, search } = new URL(request.url);
    if (!forward) return Response.json({ service: name, zone, version, path: pathname });
    return handOn(forward + pathname + search, request.method);
  });
  const stop = () => server.shutdown();
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", stop);
  await server.finished;
}

async function handOn(url: string, method: string): Promise<Response> {
  try {
    const { status, headers, body } = await fetch(url, { method });
    return new Response(body, { status, headers });
  } catch (error) {
    return new Response(`gateway: ${(error as Error).message}\n`, { status: 502 });
  }
}

if (import.meta.main) {
  await runService(Deno.args);
  Deno.exit(0);
}
