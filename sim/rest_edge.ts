// A control plane's REST API as api/io/server.ts has it, over the simulated network.

import { WRITE_TRIES } from "../api/io/server.ts";
import type { ApiAnswer } from "../api/exchange.ts";
import type { ApiView } from "../api/ports.ts";
import { handle } from "../api/router.ts";
import { newMeshOf } from "../cli/defaults.ts";
import { meshViews } from "../cli/mesh_views.ts";
import { accessOf } from "../cli/settings.ts";
import type { JsonObject } from "../core/resource.ts";
import { inspect } from "../xds/inspect/inspection.ts";
import { type ControlPlane, KINDS } from "./control_plane.ts";
import type { Accept } from "./network.ts";
import type { RestCall } from "./rest.ts";
import type { World } from "./world.ts";

/** By then whoever asked has given up, and asked again. */
const LATE_MS = 7_000;
/** Commands of an operator come by way of the process's own machine. */
const HERE = "127.0.0.1";

export function serveRest(world: World, plane: ControlPlane): Accept {
  return (end) => ({
    frame(channel, bytes) {
      const call = world.calls.get(new TextDecoder().decode(bytes));
      if (!call) return end.close();
      const { instanceId } = plane;
      const lateMs = world.luck.strikes("a request to the API is late") ? LATE_MS : 0;
      world.agenda.after(lateMs, () => {
        if (plane.instanceId !== instanceId || !plane.kernel) return;
        const fromMs = world.nowMs;
        call.handled++;
        settle(world, call, 1, (answer) => {
          world.served(call, answer, fromMs);
          end.send(channel, new TextEncoder().encode(JSON.stringify(answer)));
        });
      });
    },
    ended: () => end.close(),
    lost: () => {},
  });
}

function settle(
  world: World,
  call: RestCall,
  tries: number,
  respond: (answer: ApiAnswer) => void,
): void {
  const { plane } = call;
  const outcome = handle(requestOf(call), viewOf(plane));
  if (outcome.do === "answer") return respond(outcome.answer);
  if (outcome.do !== "write") throw new Error(`${call.method} ${call.url} is a ${outcome.do}`);
  world.write(plane, outcome.ops, (result) => {
    const isConflict = !result.ok && result.reason === "conflict";
    if (!isConflict || tries === WRITE_TRIES) return respond(outcome.then(result));
    settle(world, call, tries + 1, respond);
  }, "rest");
}

function requestOf({ method, url, headers, body, plane }: RestCall) {
  const { pathname, searchParams, href, host } = new URL(url, "http://localhost:5681");
  return {
    method,
    path: pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
    query: searchParams,
    headers: new Headers({ host, ...headers }),
    body: new TextEncoder().encode(body),
    url: href,
    peer: HERE,
    atMs: plane.nowMs,
  };
}

function viewOf({ config, disk: { image }, instanceId, name }: ControlPlane): ApiView {
  return {
    kinds: KINDS,
    resources: image,
    inspection: inspect({
      kinds: KINDS,
      viewOf: meshViews({ store: image, kinds: KINDS, zone: config.zone }),
      list: (type, mesh) => image.list(type, mesh),
      vipPort: config.vipPort,
      adminListener: false,
    }),
    control: {
      mode: config.mode,
      federated: config.global !== null,
      zone: config.zone,
      hostname: name,
      instanceId,
      clusterId: "",
      vipPort: config.vipPort,
      version: "",
      joining: null,
      newMesh: newMeshOf(config),
      config: config as unknown as JsonObject,
    },
    authentication: {
      localhostIsAdmin: true,
      verify: () => ({ ok: false, message: "nobody has a user token" }),
    },
    access: accessOf(config),
    actors: () => [],
    metrics: () => "",
    ready: () => true,
  };
}
