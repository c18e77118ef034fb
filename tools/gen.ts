// Writes proto/bundle.gen.json: the descriptors of all messages that Ursa puts on a wire.
//
// Envoy's come from the .proto files that npm @grpc/grpc-js-xds ships, Kuma's from proto/kuma.
// Only what the roots below reach is kept. `--check` writes nothing and fails when the file is stale.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";

const ENVOY_PROTOS = "npm:@grpc/grpc-js-xds@1.14.1";
const KUMA_PROTOS = new URL("../proto/", import.meta.url).pathname;
const BUNDLE = new URL("../proto/bundle.gen.json", import.meta.url).pathname;

/** Envoy messages that something encodes or decodes; extensions reached only through Any included. */
const ENVOY_ROOTS = [
  "envoy.config.bootstrap.v3.Bootstrap",
  "envoy.config.cluster.v3.Cluster",
  "envoy.config.endpoint.v3.ClusterLoadAssignment",
  "envoy.config.listener.v3.Listener",
  "envoy.config.route.v3.RouteConfiguration",
  "envoy.extensions.access_loggers.file.v3.FileAccessLog",
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
  "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
  "envoy.extensions.filters.http.rbac.v3.RBAC",
  "envoy.extensions.filters.http.router.v3.Router",
  "envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
  "envoy.extensions.filters.network.direct_response.v3.Config",
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "envoy.extensions.filters.network.rbac.v3.RBAC",
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
  "envoy.extensions.regex_engines.v3.GoogleRE2",
  "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
  "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
  "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
  "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
  "envoy.extensions.transport_sockets.tls.v3.Secret",
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
  "envoy.extensions.filters.udp.dns_filter.v3.DnsFilterConfig",
  "envoy.service.discovery.v3.DeltaDiscoveryRequest",
  "envoy.service.discovery.v3.DeltaDiscoveryResponse",
  "envoy.service.discovery.v3.DiscoveryRequest",
  "envoy.service.discovery.v3.DiscoveryResponse",
  "envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse",
  "envoy.service.health.v3.HealthCheckSpecifier",
  "google.rpc.Status",
];

/** Options only: their extensions of descriptor.proto never reach a wire. */
const ANNOTATIONS =
  /^(udpa|xds|envoy)\/annotations\/|^validate\/|^google\/(api\/annotations|protobuf\/descriptor)/;

/** `[name, number, type]`, then what makes it more than a plain proto3 field. */
type FieldRow = [string, number, string, string?];
interface Bundle {
  readonly messages: Record<string, FieldRow[]>;
  readonly enums: Record<string, Record<string, number>>;
}

/** Folder of the package in Deno's npm cache; downloads it when it is not there. */
function envoyProtos(): string {
  const { success, stdout } = new Deno.Command(Deno.execPath(), {
    args: ["info", "--no-lock", "--no-config", "--json", ENVOY_PROTOS],
    stderr: "inherit",
  }).outputSync();
  if (!success) throw new Error(`Cannot resolve ${ENVOY_PROTOS}`);
  const packages: Record<string, { name: string; localPath: string }> =
    JSON.parse(new TextDecoder().decode(stdout)).npmPackages;
  const found = Object.values(packages).find(({ name }) => ENVOY_PROTOS.includes(`:${name}@`));
  if (!found) throw new Error(`Cannot find ${ENVOY_PROTOS} in Deno's cache`);
  return join(found.localPath, "deps");
}

function protosUnder(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".proto")).map((name) => join(folder, name)).sort();
}

function fileOf(message: string, folder: string): string {
  const path = message.split(".").slice(0, -1).join("/");
  const word = new RegExp(`^message ${message.split(".").at(-1)} \\{`, "m");
  const file = protosUnder(folder, path)
    .find((name) => word.test(readFileSync(join(folder, name), "utf8")));
  if (!file) throw new Error(`Cannot find the file that declares ${message}`);
  return file;
}

function load(): { root: protobuf.Root; kuma: string[] } {
  const deps = envoyProtos();
  const folders = [
    KUMA_PROTOS,
    ...["envoy-api", "xds", "googleapis"].map((name) => join(deps, name)),
  ];
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => {
    if (target.startsWith("/")) return target;
    if (ANNOTATIONS.test(target)) return null;
    const folder = folders.find((each) => existsSync(join(each, target)));
    // What is in no folder comes with protobufjs: google/protobuf/*.
    return folder ? join(folder, target) : target;
  };
  const kumaFiles = protosUnder(KUMA_PROTOS, "kuma");
  const envoyFiles = ENVOY_ROOTS.map((name) =>
    fileOf(name, join(deps, name.startsWith("google.") ? "googleapis" : "envoy-api"))
  );
  root.loadSync([...new Set([...kumaFiles, ...envoyFiles])], { keepCase: true });
  return { root, kuma: messagesUnder(root.lookup("kuma") as protobuf.Namespace) };
}

function messagesUnder(space: protobuf.NamespaceBase): string[] {
  return space.nestedArray.flatMap((each) => [
    ...(each instanceof protobuf.Type ? [nameOf(each)] : []),
    ...(each instanceof protobuf.Namespace ? messagesUnder(each) : []),
  ]);
}

function nameOf(type: protobuf.ReflectionObject): string {
  return type.fullName.slice(1);
}

function rowOf(field: protobuf.Field): FieldRow {
  const type = field.resolvedType ? nameOf(field.resolvedType) : field.type;
  const row: FieldRow = [field.name, field.id, type];
  const extra = field instanceof protobuf.MapField
    ? `map ${field.keyType}`
    : field.repeated
    ? "repeated"
    : field.options?.["proto3_optional"]
    ? "optional"
    : field.partOf
    ? `oneof ${field.partOf.name}`
    : undefined;
  if (extra) row.push(extra);
  return row;
}

function closure(root: protobuf.Root, roots: readonly string[]): Bundle {
  const messages = new Map<string, FieldRow[]>();
  const enums = new Map<string, Record<string, number>>();
  const waiting = roots.map((name) => root.lookupType(name));
  for (let type = waiting.pop(); type; type = waiting.pop()) {
    if (messages.has(nameOf(type))) continue;
    const fields = type.fieldsArray.toSorted((a, b) => a.id - b.id);
    for (const field of fields) {
      const { resolvedType } = field.resolve();
      if (resolvedType instanceof protobuf.Type) waiting.push(resolvedType);
      if (resolvedType instanceof protobuf.Enum) {
        enums.set(nameOf(resolvedType), resolvedType.values);
      }
    }
    messages.set(nameOf(type), fields.map(rowOf));
  }
  return { messages: sorted(messages), enums: sorted(enums) };
}

function sorted<Value>(map: ReadonlyMap<string, Value>): Record<string, Value> {
  return Object.fromEntries([...map].sort(([a], [b]) => a < b ? -1 : 1));
}

/** One line per message, so that a review sees which one changed. */
function render(bundle: Bundle): string {
  const lines = (part: object) =>
    Object.entries(part).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
      .join(",\n");
  return `{"messages":{\n${lines(bundle.messages)}\n},"enums":{\n${lines(bundle.enums)}\n}}\n`;
}

const { root, kuma } = load();
const text = render(closure(root, [...ENVOY_ROOTS, ...kuma]));
if (!Deno.args.includes("--check")) {
  writeFileSync(BUNDLE, text);
} else if (!existsSync(BUNDLE) || readFileSync(BUNDLE, "utf8") !== text) {
  console.error("proto/bundle.gen.json is stale: run `deno task gen`.");
  Deno.exit(1);
}
