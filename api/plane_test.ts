// A control plane without actors, for the tests of handlers, server and ctl: kinds, a memory store,
// and receipts that a test fills in.

import { KindTable } from "../core/kind_table.ts";
import { KINDS } from "../core/kinds.ts";
import type { Receipt } from "../core/receipt.ts";
import type { Draft, JsonObject, ResourceDescriptor } from "../core/resource.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Op } from "../store/store.ts";
import type { ApiAnswer, ApiOutcome, IncomingRequest } from "./exchange.ts";
import type { AccessRules, Grant } from "./access.ts";
import type { ApiPorts, ControlPlane } from "./ports.ts";
import { handle } from "./router.ts";
import { inspect } from "../xds/inspect/inspection.ts";
import { meshViews } from "../cli/mesh_views.ts";

export const NOW_MS = Date.parse("2026-11-22T12:00:00Z");

/** A policy with a validation as small as a policy's can be: api/ knows descriptors, not policies. */
const TRAFFIC_PERMISSION: ResourceDescriptor = {
  name: "TrafficPermission",
  plural: "traffic-permissions",
  args: ["traffic-permission"],
  scope: "Mesh",
  kds: "global",
  message: "kuma.mesh.v1alpha1.TrafficPermission",
  policy: {},
  validate(spec) {
    const { sources, destinations } = spec as JsonObject;
    return Object.entries({ sources, destinations })
      .filter(([, selectors]) => !Array.isArray(selectors) || selectors.length === 0)
      .map(([path]) => ({ path, message: "must have at least one element" }));
  },
};

export const TEST_KINDS: readonly ResourceDescriptor[] = [...KINDS, TRAFFIC_PERMISSION];

export interface TestPlane {
  readonly ports: ApiPorts;
  readonly receipts: Map<number, Receipt>;
  readonly counted: string[];
  put(draft: Pick<Draft, "type" | "name" | "spec"> & Partial<Draft>): Promise<number>;
  call(method: string, path: string, options?: CallOptions): Promise<CallAnswer>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly peer?: string;
}

export interface CallAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  /** The body as JSON; null when it is plain text. */
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

/** What the receipts actor would know; a test fills it in. */
class Receipts extends Map<number, Receipt> {
  readonly #changes = new EventTarget();

  override set(revision: number, receipt: Receipt): this {
    super.set(revision, receipt);
    this.#changes.dispatchEvent(new Event("change"));
    return this;
  }

  settled(
    revision: number,
    { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<Receipt | undefined> {
    return new Promise((resolve) => {
      const answer = () => {
        clearTimeout(timeout);
        this.#changes.removeEventListener("change", look);
        resolve(this.get(revision));
      };
      const look = () => this.get(revision)?.complete !== false && answer();
      const timeout = setTimeout(answer, waitMs);
      signal.addEventListener("abort", answer);
      this.#changes.addEventListener("change", look);
      if (signal.aborted || waitMs === 0) answer();
      else look();
    });
  }
}

const ADMINS: Grant = { users: ["mesh-system:admin"], groups: ["mesh-system:admin"] };
const ANYBODY: Grant = {
  users: [],
  groups: ["mesh-system:unauthenticated", "mesh-system:authenticated"],
};
const KUMA_ACCESS: AccessRules = {
  adminResources: ADMINS,
  generateDpToken: ADMINS,
  generateZoneToken: ADMINS,
  generateUserToken: ADMINS,
  viewConfigDump: ANYBODY,
  viewStats: ANYBODY,
  viewClusters: ANYBODY,
  controlPlaneMetadata: ANYBODY,
};

/** What a token of a test plane was ordered as. */
export function orderIn(token: string): unknown {
  return JSON.parse(atob(token.split(".")[1] ?? ""));
}

export interface PlaneOptions {
  readonly kinds?: KindTable;
  readonly access?: Partial<AccessRules>;
  readonly localhostIsAdmin?: boolean;
}

const LINK = { zone: "west", hears: true, tells: false, lastError: null, rejected: null };
const PEERS = {
  path: "peers",
  mailbox: 0,
  turns: 1,
  restarts: 0,
  state: { alone: true, peers: [{ ...LINK, linkedSince: "2026-01-01T00:00:00.000Z" }] },
};

export function testPlane(
  control: Partial<ControlPlane> = {},
  { kinds = new KindTable(TEST_KINDS), access = {}, localhostIsAdmin = true }: PlaneOptions = {},
): TestPlane {
  const store = openMemoryStore();
  const receipts = new Receipts();
  const counted: string[] = [];
  const ports: ApiPorts = {
    kinds,
    resources: store,
    inspection: inspect({
      kinds,
      viewOf: meshViews({ store, kinds, zone: control.zone ?? "" }),
      list: (type, mesh) => store.list(type, mesh),
      vipPort: 80,
      adminListener: false,
    }),
    awaitReceipt: (revision, until) => receipts.settled(revision, until),
    control: {
      mode: "standalone",
      federated: false,
      zone: "",
      hostname: "host",
      instanceId: "host-1",
      clusterId: "cluster-1",
      vipPort: 80,
      version: "0.1.0",
      joining: null,
      newMesh: { kuma: false, routing: false },
      config: { store: { type: "memory", password: "hunter2" } },
      ...control,
    },
    authentication: {
      localhostIsAdmin,
      verify: (jwt) =>
        jwt === "of-jane"
          ? { ok: true, user: { name: "jane", groups: ["team"] } }
          : { ok: false, message: "the user token has expired" },
    },
    access: { ...KUMA_ACCESS, ...access },
    actors: () => [
      { path: "hub", mailbox: 0, turns: 7, restarts: 0 },
      ...(control.mode === "remote" ? [PEERS] : []),
    ],
    metrics: () => "ursa_up 1\n",
    ready: () => true,
    async write(ops) {
      const result = await store.commit(ops as readonly Op[], NOW_MS);
      return result.ok ? result : { ...result, reason: "conflict" };
    },
    envoyAdmin: (proxy, question) =>
      Promise.resolve({
        ok: false,
        reason: "unreachable",
        detail: `${proxy.type} ${proxy.name}: ${JSON.stringify(question)}`,
      }),
    issueToken: (order) =>
      order.kind === "dataplane" && order.claims.mesh === "keyless"
        ? { ok: false, reason: "no_key", message: "there is no signing key" }
        : { ok: true, token: `order.${btoa(JSON.stringify(order))}.unsigned` },
    acceptGlobal: () => Promise.resolve({ accepted: true, message: "cluster-2 is the global now" }),
    count: (metric, labels) => counted.push(`${metric} ${Object.values(labels).join(" ")}`),
  };
  return {
    ports,
    receipts,
    counted,
    async put({ type, name, spec, mesh = "", labels = {}, status }) {
      const resource = { type, mesh, name, labels, spec, ...(status && { status }) };
      const result = await store.commit([{ op: "put", resource }], NOW_MS);
      return result.ok ? result.revision : -1;
    },
    async call(method, path, options = {}) {
      return read(await run(handle(requestOf(method, path, options), ports), ports));
    },
  };
}

function requestOf(
  method: string,
  path: string,
  options: CallOptions = {},
): IncomingRequest {
  const url = new URL(path, "http://localhost:5681");
  const { body = "", peer = "127.0.0.1" } = options;
  return {
    method,
    path: url.pathname.split("/").filter((part) => part !== "").map(decodeURIComponent),
    query: url.searchParams,
    headers: new Headers({ host: "localhost:5681", ...options.headers }),
    body: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)),
    url: url.href,
    peer,
    atMs: NOW_MS,
  };
}

async function run(outcome: ApiOutcome, ports: ApiPorts): Promise<ApiAnswer> {
  switch (outcome.do) {
    case "answer":
      return outcome.answer;
    case "write":
      return outcome.then(await ports.write(outcome.ops));
    case "await_receipt":
      return outcome.then(
        await ports.awaitReceipt(outcome.revision, {
          waitMs: 0,
          signal: new AbortController().signal,
        }),
      );
    case "ask_envoy":
      return outcome.then(await ports.envoyAdmin(outcome.proxy, outcome.question));
    case "issue_token":
      return outcome.then(ports.issueToken(outcome.order, outcome.by));
    case "accept_global":
      return outcome.then(await ports.acceptGlobal());
  }
}

function read({ status, headers, body }: ApiAnswer): CallAnswer {
  const isJson = headers["content-type"] === "application/json";
  return { status, headers, text: body, json: isJson ? JSON.parse(body) : null };
}
