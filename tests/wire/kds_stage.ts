// A global and zones over loopback that end with the test.

import { createServerCertificate } from "../../identity/io/authority.ts";
import { openMemoryStore } from "../../store/memory.ts";
import { GlobalPeer, ZonePeer } from "./kds_peers.ts";

/** What a global shows to its zones, and they trust. */
export const trust = createServerCertificate(
  { names: ["localhost"], addresses: ["127.0.0.1"] },
  { nowMs: Date.now(), lifetimeMs: 3_600_000 },
);

export interface Stage {
  readonly dir: string;
  readonly onEnd: (() => Promise<void>)[];
  global(
    clusterId?: string,
    options?: { store?: ReturnType<typeof openMemoryStore>; port?: number; auth?: "token" },
  ): Promise<
    { readonly global: GlobalPeer; readonly port: number }
  >;
  zone(name: string, port: number, token?: () => Promise<string | null>): ZonePeer;
}

/** Peers that are stopped in the end, whatever happens. */
export async function onStage(play: (stage: Stage) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ursa-kds-" });
  const onEnd: (() => Promise<void>)[] = [];
  try {
    await play({
      dir,
      onEnd,
      async global(clusterId = "c-1", { store = openMemoryStore(), port = 0, auth } = {}) {
        const global = new GlobalPeer(store, clusterId, auth);
        onEnd.push(() => global.stop());
        return { global, port: await global.listen(port, trust) };
      },
      zone(name, port, token) {
        const to = { url: `grpcs://127.0.0.1:${port}`, ca: trust.cert, dir };
        const zone = new ZonePeer(name, { ...to, ...(token && { token }) });
        onEnd.push(() => zone.stop());
        return zone;
      },
    });
  } finally {
    for (const end of onEnd.reverse()) await end();
    await Deno.remove(dir, { recursive: true });
  }
}
