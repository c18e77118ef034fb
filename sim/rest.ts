// What operators write through the REST API, as clients do: over a connection that may break, with
// answers that may not come, and again when they do not.

import { stringify } from "yaml";
import type { ApiAnswer } from "../api/exchange.ts";
import type { Draft, JsonObject, ResourceKey } from "../core/resource.ts";
import { mesh, permission } from "../tests/system/zone_edits.ts";
import { type ControlPlane, KINDS } from "./control_plane.ts";
import type { DialOptions } from "./network.ts";
import type { Step } from "./steps.ts";
import type { World } from "./world.ts";

/** Names of what nobody else writes begin so. */
export const REST = "rest-";
/** In this label stands which call wrote a resource. */
export const CALL_LABEL = "written-by";

export interface RestCall {
  readonly id: string;
  readonly plane: ControlPlane;
  readonly method: "GET" | "PUT" | "DELETE" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly key: ResourceKey;
  /** What is there afterwards; null: nothing. */
  readonly wanted: Draft | null;
  /** Nothing of it may be done. */
  readonly bad: boolean;
  /** As often as it came, it was refused, and a version was made of it. */
  handled: number;
  refused: number;
  commits: number;
}

type Asked =
  & Pick<RestCall, "method">
  & Partial<Pick<RestCall, "url" | "headers" | "body" | "bad" | "plane">>;

const DIAL: DialOptions = {
  port: "api",
  timeoutMs: 5_000,
  keepalive: {
    client: { intervalMs: 15_000, timeoutMs: 15_000 },
    server: { intervalMs: 15_000, timeoutMs: 15_000 },
  },
};
const PATIENCE_MS = 5_000;
const AGAIN_MS = 1_000;
const ATTEMPTS = 4;
const JSON_TYPE = "application/json";

/** `MESH/NAME` is a policy, `NAME` a mesh. */
export function rest(world: World, { of, with: { how = "put" } }: Step): void {
  const key = keyOf(of);
  switch (how) {
    case "delete":
      return send(world, callOf(world, key, { method: "DELETE" }));
    case "edit":
      return edit(world, key);
    case "nonsense":
      for (const asked of nonsense(world, key)) send(world, callOf(world, key, asked));
      return;
    default:
      return send(world, callOf(world, key, { method: "PUT" }));
  }
}

/** Two read what is there at once, and each changes what it read. */
function edit(world: World, key: ResourceKey): void {
  for (let n = 0; n < 2; n++) {
    send(world, callOf(world, key, { method: "GET" }), ({ headers }) => {
      const match = { "if-match": headers["etag"] ?? "none" };
      send(world, callOf(world, key, { method: "PUT", headers: match }));
    });
  }
}

/** Every way to be refused. */
function nonsense(world: World, key: ResourceKey): readonly Asked[] {
  const put = { method: "PUT", bad: true } as const;
  const yaml = { "content-type": "application/yaml" };
  const other = { ...key, name: `${key.name}-other` };
  const { type, mesh: within, name } = key;
  return [
    { ...put, body: "" },
    { ...put, body: '{"type": "' },
    { ...put, body: "type: [", headers: yaml },
    { ...put, body: JSON.stringify({ type, mesh: within, name, mtls: 7, sources: 7 }) },
    { ...put, url: urlOf(other) },
    { ...put, headers: { "content-type": "text/plain" } },
    { ...put, headers: { "if-match": '"1000000000"' } },
    { ...put, url: `${urlOf({ ...key, type: "TrafficPermission", mesh: "nowhere" })}` },
    { ...put, method: "POST" },
    ...(world.global ? [{ ...put, plane: world.zones[0]! }] : []),
  ];
}

function callOf(world: World, key: ResourceKey, asked: Asked): RestCall {
  const serial = world.calls.size + 1;
  const id = `call-${serial}`;
  const wanted = asked.method === "PUT" ? draftOf(key, id) : null;
  const [type, body] = !wanted
    ? [JSON_TYPE, ""]
    : serial % 2 === 0
    ? [JSON_TYPE, JSON.stringify(bodyOf(wanted))]
    : ["application/yaml", stringify(bodyOf(wanted))];
  const call: RestCall = {
    id,
    plane: world.writer,
    url: urlOf(key),
    body,
    key,
    wanted,
    bad: false,
    ...asked,
    headers: { "content-type": asked.body === undefined ? type : JSON_TYPE, ...asked.headers },
    handled: 0,
    refused: 0,
    commits: 0,
  };
  world.calls.set(id, call);
  return call;
}

function keyOf(of: string): ResourceKey {
  const [first, second] = of.split("/") as [string, string | undefined];
  return second === undefined
    ? { type: "Mesh", mesh: "", name: first }
    : { type: "TrafficPermission", mesh: first, name: second };
}

function urlOf({ type, mesh: within, name }: ResourceKey): string {
  const { plural } = KINDS.byName(type)!;
  return `${within && `/meshes/${within}`}/${plural}/${name}`;
}

/** No two calls want the same. */
function draftOf({ type, mesh: within, name }: ResourceKey, id: string): Draft {
  const draft = type === "Mesh" ? mesh(name) : permission(within, name, id, "nobody");
  return { ...draft, labels: { [CALL_LABEL]: id } };
}

function bodyOf({ type, mesh: within, name, labels, spec }: Draft): JsonObject {
  return { type, ...(within !== "" && { mesh: within }), name, labels, ...spec };
}

/** Until somebody says what became of it, or nobody does for long. */
function send(
  world: World,
  call: RestCall,
  answered: (answer: ApiAnswer) => void = () => {},
): void {
  const { network, agenda } = world;
  const from = network.site(`${call.plane.name}/operator`);
  from.alive = true;
  const attempt = (left: number): void => {
    if (left === 0) return world.count("rest: nobody answers");
    let isOver = false;
    const over = (act: () => void): void => {
      if (!isOver) act();
      isOver = true;
    };
    const again = () => over(() => agenda.after(AGAIN_MS, () => attempt(left - 1)));
    network.dial(from, call.plane.site, DIAL, (end) => {
      if (typeof end === "string") return again();
      const giveUp = () => {
        end.close();
        again();
      };
      end.handler = {
        frame(_channel, bytes) {
          if (world.luck.strikes("an answer of the API is lost")) return giveUp();
          const answer: ApiAnswer = JSON.parse(new TextDecoder().decode(bytes));
          if (answer.status >= 500) return giveUp();
          end.close();
          over(() => {
            world.count(`rest: ${call.method} ${answer.status}`);
            answered(answer);
          });
        },
        ended: giveUp,
        lost: again,
      };
      // What it says stands in the call: only its number has to travel.
      end.send("api", new TextEncoder().encode(call.id));
      agenda.after(PATIENCE_MS, giveUp);
    });
  };
  attempt(ATTEMPTS);
}
