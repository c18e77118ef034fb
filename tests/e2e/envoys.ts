// What Envoys say about their configuration, each over its own admin interface.

import { equal, ok } from "node:assert/strict";
import type { Proxy } from "../../cli/demo/cluster.ts";
import { until } from "../../cli/demo/until.ts";

/** Nothing refused, nothing that still waits for something else, no word of a deprecated field. */
export async function allContent(proxies: readonly Proxy[]): Promise<void> {
  for (const proxy of proxies) {
    const refused = await ask(proxy, "/stats?filter=update_rejected");
    for (const line of refused.trim().split("\n").filter((line) => !line.endsWith(": 0"))) {
      equal(line, "", proxy.name);
    }
    await until(`end of warming in ${proxy.name}`, async () => {
      const dump = await ask(proxy, "/config_dump");
      const waiting = /"(dynamic_warming_\w+|warming_state|error_state)"/.exec(dump);
      const warming = /(\S+warming\S*): [1-9]\d*/.exec(await ask(proxy, "/stats?filter=warming"));
      return !waiting && !warming || `there is ${waiting?.[1] ?? warming?.[1]}`;
    });
    const log = await Deno.readTextFile(proxy.child.logFile);
    ok(!/deprecat/i.test(log), `${proxy.name}: ${/.*deprecat.*/i.exec(log)?.[0]}`);
  }
}

/** Whether an Envoy would send a request to this address. */
export async function uses(proxy: Proxy, endpoint: string): Promise<boolean> {
  return (await ask(proxy, "/clusters")).includes(`::${endpoint}::`);
}

export async function allConnected(proxies: readonly Proxy[]): Promise<true | string> {
  for (const proxy of proxies) {
    const state = await ask(proxy, "/stats?filter=control_plane.connected_state");
    if (!/connected_state: 1/.test(state)) return `${proxy.name} is not connected`;
  }
  return true;
}

export async function noneConnected(proxies: readonly Proxy[]): Promise<true | string> {
  for (const proxy of proxies) {
    const state = await ask(proxy, "/stats?filter=control_plane.connected_state");
    if (!/connected_state: 0/.test(state)) return `${proxy.name} is still connected`;
  }
  return true;
}

async function ask({ admin }: Proxy, path: string): Promise<string> {
  return await (await fetch(admin + path)).text();
}
