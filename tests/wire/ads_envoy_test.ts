// A real Envoy against the dp-server, both dialects: it takes what it gets, loses no request while
// clusters are exchanged under it, and keeps working with what it had when something is bad.

import assert from "node:assert/strict";
import type { JsonObject } from "../../core/resource.ts";
import { findEnvoy } from "../../dataplane/io/envoy_binary.ts";
import type { Snapshot } from "../../xds/snapshot.ts";
import { TYPES } from "../../xds/snapshot.ts";
import type { Dialect } from "../../xds/stream.ts";
import { CERTIFICATE, snapshotOf, TestControlPlane, within } from "./ads_fixture.ts";

const ENVOY = await findEnvoy({ cacheDir: ".ursa/cache/envoy", log: console.log });
const ADS = { ads: {}, resource_api_version: "V3" };
const HCM =
  "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";

function address(port: number): JsonObject {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

interface Wish {
  /** The cluster that the one route leads to, and where it is. */
  readonly cluster: string;
  readonly port: number;
  readonly connectTimeout?: string;
  readonly statPrefix?: string;
}

function wish({ cluster, port, connectTimeout = "1s", statPrefix = "in" }: Wish): Snapshot {
  return snapshotOf({
    cluster: [{
      name: cluster,
      type: "EDS",
      connect_timeout: connectTimeout,
      eds_cluster_config: { eds_config: ADS },
    }],
    endpoint: [{
      cluster_name: cluster,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    }],
    listener: [{
      name: "in",
      address: address(0),
      filter_chains: [{
        filters: [{
          name: "hcm",
          typed_config: {
            "@type": HCM,
            stat_prefix: statPrefix,
            rds: { route_config_name: "in", config_source: ADS },
            http_filters: [{ name: "router", typed_config: { "@type": ROUTER } }],
          },
        }],
      }],
    }],
    route: [{
      name: "in",
      virtual_hosts: [{
        name: "all",
        domains: ["*"],
        routes: [{ match: { prefix: "/" }, route: { cluster } }],
      }],
    }],
  });
}

function bootstrap(adsPort: number, dialect: Dialect): JsonObject {
  const tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  const http = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return {
    node: { id: "default.web", cluster: "web" },
    admin: { address: address(0) },
    dynamic_resources: {
      ads_config: {
        api_type: dialect === "delta" ? "DELTA_GRPC" : "GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: "ads" } }],
      },
      cds_config: ADS,
      lds_config: ADS,
    },
    static_resources: {
      clusters: [{
        name: "ads",
        type: "STATIC",
        connect_timeout: "1s",
        typed_extension_protocol_options: {
          "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": http,
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
        load_assignment: {
          cluster_name: "ads",
          endpoints: [{ lb_endpoints: [{ endpoint: { address: address(adsPort) } }] }],
        },
        transport_socket: {
          name: "tls",
          typed_config: {
            "@type": tls,
            sni: "localhost",
            common_tls_context: {
              validation_context: { trusted_ca: { inline_string: CERTIFICATE.cert } },
            },
          },
        },
      }],
    },
  };
}

/** An Envoy of this test, its admin port, and what it wrote. */
class RunningEnvoy {
  readonly #child: Deno.ChildProcess;
  readonly #folder: string;
  readonly #log: Promise<string>;

  constructor(child: Deno.ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.#log = new Response(child.stderr).text();
  }

  static async start(adsPort: number, dialect: Dialect): Promise<RunningEnvoy> {
    const folder = await Deno.makeTempDir();
    await Deno.writeTextFile(`${folder}/envoy.json`, JSON.stringify(bootstrap(adsPort, dialect)));
    const child = new Deno.Command(ENVOY, {
      args: [
        ...["-c", `${folder}/envoy.json`, "--admin-address-path", `${folder}/admin`],
        ...["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"],
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new RunningEnvoy(child, folder);
  }

  /** GET on the admin interface. */
  async admin(path: string): Promise<string> {
    const admin = await Deno.readTextFile(`${this.#folder}/admin`);
    return await (await fetch(`http://${admin}${path}`)).text();
  }

  async listenerPort(): Promise<number> {
    const { listener_statuses: [listener] } = JSON.parse(
      await this.admin("/listeners?format=json"),
    );
    return listener.local_address.socket_address.port_value;
  }

  async stop(): Promise<string> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
    return await this.#log;
  }
}

function upstream(answer: string) {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(answer),
  );
  return { port: server.addr.port, stop: () => server.shutdown() };
}

/** Asks again and again until told to stop; every answer that was not 200 is kept. */
function traffic(port: number) {
  const failures: string[] = [];
  let asked = 0;
  let wanted = true;
  const done = (async () => {
    while (wanted) {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      const body = await response.text();
      asked++;
      if (response.status !== 200) failures.push(`${response.status} ${body}`);
    }
  })();
  return {
    async stop() {
      wanted = false;
      await done;
      assert(asked > 0);
      assert.deepEqual(failures, []);
    },
  };
}

for (const dialect of ["sotw", "delta"] as const) {
  Deno.test(`Envoy, ${dialect}: first configuration, exchange of clusters, a rejected one`, async () => {
    const [one, two] = [upstream("one"), upstream("two")];
    const plane = await TestControlPlane.start(wish({ cluster: "one", port: one.port }));
    const envoy = await RunningEnvoy.start(plane.port, dialect);
    try {
      const has = (...types: string[]) => () =>
        plane.settled() &&
        types.every((type) => plane.events.some(({ typeUrl }) => typeUrl === type));
      const all = [TYPES.cluster, TYPES.endpoint, TYPES.listener, TYPES.route];
      await plane.until(has(...all), "the first configuration");
      const port = await envoy.listenerPort();
      const ask = async () => await (await fetch(`http://127.0.0.1:${port}/`)).text();
      assert.equal(await ask(), "one");

      const running = traffic(port);
      plane.set(wish({ cluster: "two", port: two.port }));
      await plane.until(plane.settled.bind(plane), "the other cluster");
      assert.equal(await ask(), "two");
      // The same cluster, changed: it warms up again, and needs its endpoints again.
      plane.set(wish({ cluster: "two", port: two.port, connectTimeout: "2s" }));
      await plane.until(plane.settled.bind(plane), "the changed cluster");
      for (let change = 0; change < 10; change++) {
        const [cluster, at] = change % 2 === 0 ? ["one", one] as const : ["two", two] as const;
        plane.set(wish({ cluster, port: at.port }));
      }
      await plane.until(plane.settled.bind(plane), "the newest of many");
      assert.equal(await ask(), "two");
      assert.deepEqual(plane.events.filter(({ event }) => event === "nacked"), []);
      const clusters = await envoy.admin("/clusters");
      assert.doesNotMatch(clusters, /^one::/m);

      plane.set(wish({ cluster: "one", port: one.port, statPrefix: "" }));
      await plane.until(plane.settled.bind(plane), "the rejection");
      const nack = plane.events.find(({ event }) => event === "nacked");
      assert.match(nack?.event === "nacked" ? nack.message : "", /StatPrefix|stat_prefix/i);
      await ask();
      await running.stop();
      const stats = await envoy.admin("/stats?filter=warming");
      assert.match(stats, /warming_clusters: 0/);
      assert.match(stats, /total_listeners_warming: 0/);
    } finally {
      const said = await envoy.stop();
      await within(20_000, "the server to close", plane.server.close(1000));
      await Promise.all([one.stop(), two.stop()]);
      assert.doesNotMatch(said, /deprecated/i);
    }
  });
}
