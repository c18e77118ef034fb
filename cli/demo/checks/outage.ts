// Checks 6, 7 and 9: control planes die, come back, and are mistaken for each other.

import { Load } from "../client.ts";
import type { ControlPlane, Zone } from "../cluster.ts";
import { splitByZone } from "../resources.ts";
import type { Scene } from "../scene.ts";
import { until } from "../until.ts";
import { type Check, expect, expectNoFailures, ms } from "./check.ts";

const GLOBAL_DOWN_MS = 30_000;
const PER_SECOND = 100;

export const globalKilled: Check = {
  name: "global is killed for 30 s: no request fails, and the zones go on",
  async run({ home, away, cluster }) {
    const global = cluster.global!;
    const temporary = await home.startWorkload({ service: "temporary" });
    await untilAnswered(home, "temporary.mesh");
    await until(`${away.name} that knows temporary`, () => offers(away, "temporary"));
    const load = new Load(PER_SECOND + 10, () => home.client.call("billing.mesh"));
    await global.kill();
    const killedAtMs = performance.now();
    const newcomer = await home.startWorkload({ service: "newcomer" });
    await untilAnswered(home, "newcomer.mesh");
    const newcomerMs = performance.now() - killedAtMs;
    await temporary.stop();
    await until("refusal of temporary", async () => {
      const { error } = await home.client.call("temporary.mesh");
      return error !== "" || "it still answers";
    });
    const leftMs = GLOBAL_DOWN_MS - (performance.now() - killedAtMs);
    await new Promise((done) => setTimeout(done, Math.max(0, leftMs)));
    await global.start();
    const restartedAtMs = performance.now();
    await until(`${away.name} that learns of both`, async () => {
      const [gained, lost] = [await offers(away, "newcomer"), await offers(away, "temporary")];
      return gained === true ? lost !== true || "temporary is still offered" : gained;
    });
    const learntMs = performance.now() - restartedAtMs;
    await load.stop();
    await newcomer.stop();
    expectNoFailures(load.failures, load, "while global was away");
    expect(load.perSecond >= PER_SECOND, `only ${load.perSecond.toFixed(0)} requests per second`);
    return {
      figure: `0 of ${load.outcomes.length} failed at ${load.perSecond.toFixed(0)}/s, ` +
        `a new dataplane reached after ${ms(newcomerMs)}, ` +
        `${away.name} knew of both ${ms(learntMs)} after the restart`,
    };
  },
};

export const remoteKilled: Check = {
  name: "a remote is killed and restarted: proxies serve on, virtual IPs stay",
  async run(scene) {
    const { home } = scene;
    const names = ["billing.mesh", "backend.mesh", "frontend.mesh"];
    const before = await addresses(home, names);
    const load = new Load(PER_SECOND, () => home.client.callAt(before[0]!, "billing.mesh"));
    await home.controlPlane.kill();
    await new Promise((done) => setTimeout(done, 3_000));
    const startedAtMs = performance.now();
    await home.controlPlane.start();
    const startedMs = performance.now() - startedAtMs;
    const after = await addresses(home, names);
    expect(before.join() === after.join(), `virtual IPs were ${before}, are ${after}`);
    await until("proxies that are connected again", () => allConnected(home));
    const onlineMs = performance.now() - startedAtMs;
    // A change still finds the proxies: the streams are back, not only the insights.
    const heard = await untilHeard(scene);
    await load.stop();
    expectNoFailures(load.failures, load, "while the remote was away");
    return {
      figure: `0 of ${load.outcomes.length} failed, serving after ${ms(startedMs)}, ` +
        `all proxies back after ${ms(onlineMs)}, a change of global heard in ${ms(heard)}`,
    };
  },
};

export const globalReplaced: Check = {
  name: "an empty global in the old one's place deletes nothing, and both sides say why",
  async run(scene) {
    const { home, away, cluster } = scene;
    const global = cluster.global!;
    const before = await contents([home, away]);
    const load = new Load(50, () => home.client.call("billing.mesh"));
    const tokens = await cluster.zoneTokens();
    try {
      await global.stop();
      const logs = await Promise.all([home.controlPlane, away.controlPlane, global].map(newLines));
      await global.forgetEverything();
      await global.start();
      for (const { name, read } of logs) {
        await until(`word of ${name} on unknown tokens`, async () => refuses(await read()));
      }
      // Somebody takes it for the right one, and gives it the zones.
      await cluster.renewZoneTokens();
      for (const { name, read } of logs) {
        await until(`word of ${name} on the strange global`, async () => explains(await read()));
      }
      const during = await contents([home, away]);
      expect(before === during, `the zones held ${before}, and hold ${during}`);
    } finally {
      await global.stop();
      await tokens.restore();
      global.rememberAgain();
      await global.start();
    }
    const backMs = await untilHeard(scene);
    await load.stop();
    expect(before === await contents([home, away]), "the zones lost something on the way");
    expectNoFailures(load.failures, load, "meanwhile");
    return {
      figure: `0 of ${load.outcomes.length} failed, nothing deleted, ` +
        `the old one heard ${ms(backMs)} after it was back`,
    };
  },
};

/** What a zone holds from global, and what other zones told it. */
async function contents(zones: readonly Zone[]): Promise<string> {
  const counts = await Promise.all(
    zones.flatMap(({ rest }) =>
      ["/meshes", "/traffic-permissions", "/zoneingresses", "/dataplanes"].map(async (path) => {
        const { total } = await rest.get<{ total: number }>(path);
        return `${path}: ${total}`;
      })
    ),
  );
  return counts.join(", ");
}

/** Reads what a process logs from now on. */
async function newLines(
  { name, logFile }: ControlPlane,
): Promise<{ readonly name: string; readonly read: () => Promise<string> }> {
  const { length } = await Deno.readTextFile(logFile);
  return { name, read: async () => (await Deno.readTextFile(logFile)).slice(length) };
}

/** Whether a log says that the zones' tokens are not this global's. */
function refuses(log: string): true | string {
  return /(zone refused|global refuses this zone).*signature/.test(log) || "nothing in its log";
}

/** Whether a log names the command that accepts another global, or says what is wrong with this one. */
function explains(log: string): true | string {
  return /accept-global|another global/i.test(log) || "nothing in its log";
}

/** Milliseconds until a change on global is in both zones and in the proxies of home. */
async function untilHeard({ home, away, cluster }: Scene): Promise<number> {
  const path = "/meshes/default/traffic-routes/backend-by-zone";
  const startedAtMs = performance.now();
  await cluster.policies.put(path, splitByZone("backend", { [home.name]: 0, [away.name]: 100 }));
  await until("backend only in the other zone", async () => {
    const { answer, error } = await home.client.call("backend.mesh");
    return answer?.zone === away.name || error || `${home.name} answers`;
  });
  const heardMs = performance.now() - startedAtMs;
  await cluster.policies.delete(path);
  await until("zones without the route", async () => {
    const routes = await Promise.all(
      [home, away].map(({ rest }) => rest.get<{ total: number }>("/traffic-routes")),
    );
    return routes.every(({ total }) => total === 0) || "the route is still there";
  });
  return heardMs;
}

interface Offered {
  readonly items: readonly {
    readonly zone?: string;
    readonly availableServices?: readonly { readonly tags: Readonly<Record<string, string>> }[];
  }[];
}

/** Whether a zone knows that the other one offers a service. */
async function offers(zone: Zone, service: string): Promise<true | string> {
  const { items } = await zone.rest.get<Offered>("/zoneingresses");
  const services = items.filter((ingress) => ingress.zone !== zone.name)
    .flatMap(({ availableServices = [] }) => availableServices)
    .map(({ tags }) => tags["kuma.io/service"]);
  return services.includes(service) || `it knows ${services.join(", ") || "nothing"}`;
}

/** Asked of the Envoys: what a control plane stored before it was killed proves nothing. */
async function allConnected({ ingress, workloads }: Zone): Promise<true | string> {
  const proxies = [...workloads.values()].map(({ proxy }) => proxy).concat(ingress ?? []);
  for (const { name, admin } of proxies) {
    const stats = await fetch(`${admin}/stats?filter=control_plane.connected_state`);
    if (!/connected_state: 1/.test(await stats.text())) return `${name} is not connected`;
  }
  return true;
}

function addresses({ client }: Zone, names: readonly string[]): Promise<string[]> {
  return Promise.all(names.map((name) => client.resolve(name)));
}

function untilAnswered({ client }: Zone, name: string): Promise<number> {
  return until(`answer of ${name}`, async () => {
    const { error } = await client.call(name);
    return error === "" ? true : error;
  });
}
