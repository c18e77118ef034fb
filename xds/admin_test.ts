import { deepEqual, equal } from "node:assert/strict";
import type { AdminTls } from "../core/envoy_admin.ts";
import type { JsonObject } from "../core/resource.ts";
import { decode } from "../proto/mod.ts";
import { addAdmin, type AdminContext } from "./admin.ts";
import { parseNode } from "./node.ts";
import { SnapshotBuilder } from "./resources.ts";
import { TYPES } from "./snapshot.ts";

const tls: AdminTls = { certificateChain: "cert", privateKey: "key", trustedCa: "ca" };
const context: AdminContext = {
  node: parseNode({
    "dataplane.admin.port": "9901",
    "dataplane.readinessReporter.port": "9902",
    workdir: "/tmp/dp",
    features: ["feature-readiness-unix-socket"],
  }),
  address: "10.0.0.1",
  taken: [],
  tls,
};

// deno-lint-ignore no-explicit-any -- the tests read deep into a message
function listenerOf(changes: Partial<AdminContext> = {}): any {
  const snapshot = new SnapshotBuilder();
  addAdmin(snapshot, { ...context, ...changes });
  const found = snapshot.build().resources.get(TYPES.listener)?.get("kuma:envoy:admin");
  return found && decode("google.protobuf.Any", found.any, { snake: true });
}

function prefixes(chain: JsonObject): readonly unknown[] {
  // deno-lint-ignore no-explicit-any -- as above
  const [manager] = (chain as any).filters;
  return manager.typed_config.route_config.virtual_hosts[0].routes
    // deno-lint-ignore no-explicit-any -- as above
    .map(({ match, route }: any) => [match.prefix, route.cluster]);
}

Deno.test("addAdmin() shows readiness to everybody, and the rest to the control plane", () => {
  const [plain, behind] = listenerOf().filter_chains;
  deepEqual(prefixes(plain), [["/ready", "kuma:readiness"]]);
  equal(plain.transport_socket, undefined);
  deepEqual(prefixes(behind), [["/ready", "kuma:readiness"], ["/", "kuma:envoy:admin"]]);
  const { common_tls_context, require_client_certificate } = behind.transport_socket.typed_config;
  equal(require_client_certificate, true);
  deepEqual(common_tls_context.validation_context.match_typed_subject_alt_names, [
    { san_type: "DNS", matcher: { exact: "kuma-cp" } },
  ]);
});

Deno.test("addAdmin() lets nobody in without certificates", () => {
  const { filter_chains, listener_filters } = listenerOf({ tls: null });
  equal(filter_chains.length, 1);
  equal(listener_filters, undefined);
  const silent = parseNode({ "dataplane.admin.port": "9901" });
  equal(listenerOf({ tls: null, node: silent }), undefined);
  equal(listenerOf({ node: silent }).filter_chains.length, 1);
});

Deno.test("addAdmin() does not listen where somebody else does", () => {
  equal(listenerOf({ address: "127.0.0.1" }), undefined);
  equal(listenerOf({ address: "0.0.0.0" }), undefined);
  equal(listenerOf({ taken: [{ address: "10.0.0.1", port: 9901 }] }), undefined);
  equal(listenerOf({ taken: [{ address: "10.0.0.2", port: 9901 }] }).name, "kuma:envoy:admin");
});
