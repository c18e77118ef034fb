import assert from "node:assert/strict";
import type { Resource } from "../../core/resource.ts";
import type { DnsCommand } from "../../dns/zone_table.ts";
import type { Change } from "../hub/messages.ts";
import type { Context, Effect } from "../runtime/actor.ts";
import { dns, type DnsState } from "./dns.ts";

const at: Context = { nowMs: 0, self: "dns", random: () => 0 };

function config(name: string, entries: Readonly<Record<string, unknown>> | null): Change {
  const key = { type: "Config", mesh: "", name };
  const resource: Resource | null = entries && {
    ...key,
    labels: {},
    spec: { config: JSON.stringify(entries) },
    version: 1,
    creationTime: "",
    modificationTime: "",
  };
  return { revision: 1, key, resource, previous: null };
}

class Names {
  #state: DnsState;
  #revision = 0;

  constructor() {
    const [state, effects] = dns.init({}, at);
    this.#state = state;
    assert.deepEqual(effects, [{
      do: "send",
      to: "hub",
      msg: { tag: "subscribe", to: "dns", types: ["Config"] },
    }]);
  }

  /** The names published because of these changes; null when nothing was. */
  change(changes: readonly Change[], full = false): Readonly<Record<string, string>> | null {
    const msg = { tag: "resources_changed", revision: ++this.#revision, full, changes } as const;
    const [state, effects] = dns.receive(this.#state, msg, at);
    this.#state = state;
    const published = effects.find((effect): effect is Effect & { do: "command" } =>
      effect.do === "command"
    );
    if (!published) return null;
    const { table } = published.command as DnsCommand;
    assert.equal(table.serial, this.#revision);
    return Object.fromEntries(table.addresses);
  }
}

Deno.test("dns publishes at once, even when there are no names yet", () => {
  assert.deepEqual(new Names().change([], true), {});
});

Deno.test("dns publishes the names of all meshes, and only when an answer would differ", () => {
  const names = new Names();
  names.change([], true);
  const web = { "0:web": { address: "240.0.0.1" } };
  assert.deepEqual(names.change([config("kuma-one-dns-vips", web)]), { "web.mesh": "240.0.0.1" });
  assert.equal(names.change([config("kuma-cluster-id", { a: 1 })]), null);
  const released = { "0:web": { address: "240.0.0.1", releasedAtMs: 5 } };
  assert.equal(names.change([config("kuma-one-dns-vips", released)]), null);
  const both = { "0:web": { address: "240.0.0.1" }, "0:api": { address: "240.0.0.2" } };
  assert.deepEqual(names.change([config("kuma-two-dns-vips", both)]), {
    "web.mesh": "240.0.0.1",
    "api.mesh": "240.0.0.2",
  });
  assert.deepEqual(names.change([config("kuma-two-dns-vips", null)]), { "web.mesh": "240.0.0.1" });
});

Deno.test("dns starts from nothing on a full state", () => {
  const names = new Names();
  names.change([config("kuma-one-dns-vips", { "0:web": { address: "240.0.0.1" } })], true);
  assert.deepEqual(names.change([], true), {});
});
