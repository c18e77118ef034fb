// A global and zones over loopback sockets: real kernel, real gRPC, stores in memory.

import { GLOBAL } from "../../actors/global/messages.ts";
import { global } from "../../actors/global/global.ts";
import { hub, type HubArgs } from "../../actors/hub/hub.ts";
import { HUB, type WriteResult } from "../../actors/hub/messages.ts";
import type { ReplyTo } from "../../actors/runtime/actor.ts";
import { startSystem, type System } from "../../actors/runtime/io/pump.ts";
import type { Port } from "../../actors/runtime/kernel.ts";
import { many, one, type Tree } from "../../actors/runtime/tree.ts";
import {
  type AcceptGlobalAnswer,
  UPLINK,
  type UplinkStatus,
} from "../../actors/uplink/messages.ts";
import { uplink } from "../../actors/uplink/uplink.ts";
import { zone } from "../../actors/zone/zone.ts";
import type { EnvoyAdmin, EnvoyAnswer } from "../../core/envoy_admin.ts";
import { KINDS } from "../../core/kinds.ts";
import type { Draft, Resource, ResourceKey } from "../../core/resource.ts";
import type { AdminRequest } from "../../kds/admin.ts";
import { createKdsClient, type KdsClient } from "../../kds/io/client.ts";
import { type KdsServer, serveKds } from "../../kds/io/server.ts";
import type { ClientCommand, ServerCommand, ZoneRun } from "../../kds/wire.ts";
import { openMemoryStore } from "../../store/memory.ts";
import type { Op, Store } from "../../store/store.ts";

export interface Logged {
  readonly level: string;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** Looked at again whenever anything was written or logged anywhere. */
const watchers = new Set<() => void>();
const HANG_MS = 60_000;

/** Resolves when `condition` holds; fails when it never does. */
export function until(condition: () => boolean, what: string): Promise<void> {
  if (condition()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const hang = setTimeout(() => {
      watchers.delete(look);
      reject(new Error(`Still waiting for: ${what}`));
    }, HANG_MS);
    const look = () => {
      if (!condition()) return;
      clearTimeout(hang);
      watchers.delete(look);
      resolve();
    };
    watchers.add(look);
  });
}

function happened(): void {
  for (const look of [...watchers]) look();
}

export abstract class Peer {
  readonly logs: Logged[] = [];
  readonly store: Store;
  readonly system: System;

  constructor(store: Store, options: {
    readonly tree: Tree;
    readonly ports: Readonly<Record<string, Port>>;
  }) {
    this.store = store;
    const { tree, ports } = options;
    this.system = startSystem({
      seed: 1,
      tree,
      ports: { store: storePort(store), ...ports },
      log: (level, message, fields) => {
        this.logs.push({ level, message, fields });
        happened();
      },
      count: () => {},
      fatal: (reason) => {
        throw new Error(reason);
      },
    });
  }

  async write(...ops: readonly Op[]): Promise<void> {
    const result = await this.system.ask<WriteResult>(
      HUB,
      (reply) => ({ tag: "write", ops, by: "test", reply }) as never,
      10_000,
    );
    if (!result.ok) throw new Error(JSON.stringify(result));
  }

  put(type: string, name: string, part: Partial<Draft> = {}): Promise<void> {
    const resource = { type, mesh: "", name, labels: {}, spec: {}, ...part };
    return this.write({ op: "put", resource });
  }

  delete(key: ResourceKey): Promise<void> {
    return this.write({ op: "delete", key });
  }

  names(type: string): readonly string[] {
    return this.store.list(type).map(({ name }) => name);
  }

  find(type: string, displayName: string): Resource | undefined {
    return this.store.list(type).find(({ name, labels }) =>
      (labels["kuma.io/display-name"] ?? name) === displayName
    );
  }

  said(message: string): boolean {
    return this.logs.some((line) => line.message === message);
  }

  ask<T>(path: string, tag: string): Promise<T> {
    return this.system.ask<T>(path, (reply: ReplyTo) => ({ tag, reply }) as never, 10_000);
  }
}

export function hubArgs(store: Store): HubArgs {
  return {
    reader: store,
    types: KINDS.map(({ name }) => name),
    admit: (draft) => draft,
    derive: () => null,
    meshes: null,
    receipts: null,
  };
}

function storePort(store: Store): Port {
  return (command, _from, answer) => {
    const { ops } = command as { readonly ops: readonly Op[] };
    store.commit(ops, Date.now()).then((value) => {
      answer({ ok: true, value });
      happened();
    });
  };
}

export interface Trust {
  readonly cert: string;
  readonly key: string;
}

export class GlobalPeer extends Peer {
  #server: KdsServer | null = null;

  constructor(store: Store, clusterId: string, auth: "token" | "none" = "none") {
    super(store, {
      tree: [
        one(HUB, hub, hubArgs(store)),
        one(GLOBAL, global, {
          descriptors: KINDS,
          newClusterId: clusterId,
          instance: "g-1",
          version: "0.1.0",
          receipts: null,
          unreachableAfterMs: null,
          auth,
          exempt: ["exempt"],
        }),
        many("zones", zone),
      ],
      ports: { kds: (command) => this.#server?.command(command as ServerCommand) },
    });
  }

  async listen(port: number, tls: Trust | null): Promise<number> {
    this.#server = await serveKds({
      hostname: "127.0.0.1",
      port,
      tls,
      deliver: (path, event) => this.system.send(path, event),
    });
    return this.#server.address.port;
  }

  askEnvoy(zone: string, request: AdminRequest): Promise<EnvoyAnswer> {
    return this.#server!.ask(zone, request);
  }

  counters(): Readonly<Record<string, number>> {
    return this.#server!.counters();
  }

  /** As on SIGTERM: streams end, GOAWAY, sockets close. */
  async stop(): Promise<void> {
    await this.#server?.close(1_000);
    this.system.stop();
  }
}

export class ZonePeer extends Peer {
  readonly #client: KdsClient;
  /** What it answers about its Envoys. */
  admin: EnvoyAdmin = ({ name }) =>
    Promise.resolve({ ok: false, reason: "unknown", detail: `no proxy ${name}` });

  constructor(
    name: string,
    to: {
      readonly url: string;
      readonly ca: string | null;
      readonly dir: string;
      readonly token?: () => Promise<string | null>;
      readonly run?: ZoneRun;
    },
  ) {
    let client: KdsClient | null = null;
    const store = openMemoryStore();
    super(store, {
      tree: [
        one(HUB, hub, hubArgs(store)),
        one(UPLINK, uplink, {
          zone: name,
          descriptors: KINDS,
          version: "0.1.0",
          instance: `${name}-1`,
          config: '{"mode":"zone","store":{"type":"memory"}}',
          link: null,
        }),
      ],
      ports: { kds: (command) => client?.command(command as ClientCommand) },
    });
    client = createKdsClient({
      url: to.url,
      ca: to.ca,
      ...(to.token && { token: to.token }),
      ...(to.run && { run: to.run }),
      socketPath: `${to.dir}/${name}.sock`,
      version: "0.1.0",
      deliver: (event) => void this.system.send(UPLINK, event),
      admin: (proxy, question) => this.admin(proxy, question),
    });
    this.#client = client;
  }

  status(): Promise<UplinkStatus> {
    return this.ask(UPLINK, "describe");
  }

  acceptGlobal(): Promise<AcceptGlobalAnswer> {
    return this.ask(UPLINK, "accept_global");
  }

  async stop(): Promise<void> {
    await this.#client.close();
    this.system.stop();
  }
}
