// What a proxy would be told, as JSON, with nobody's keys in it. kuma@v2.13.10:pkg/core/xds/inspect/config.go.

import type { MeshView } from "../../core/mesh_view.ts";
import type { IdentityMaterial } from "../../core/proxy.ts";
import type { JsonObject, ResourceDescriptor } from "../../core/resource.ts";
import { decode } from "../../proto/mod.ts";
import { isShadow } from "../../policies/match/target_ref.ts";
import { generateDataplane } from "../generate.ts";
import { parseNode } from "../node.ts";
import type { EncodedResource } from "../snapshot.ts";

/** Stands for what only the proxy itself is told. */
const NOBODYS: IdentityMaterial = {
  backend: "",
  certificateChain: "CERT",
  privateKey: "KEY",
  trustedCa: "CA",
  issuedAtMs: 0,
  expiresAtMs: 0,
};

export interface ConfigContext {
  /** What the proxy said of itself when it connected. */
  readonly metadata: JsonObject;
  /** Takes the policies in that are only looked at. */
  readonly shadow: boolean;
  readonly vipPort: number;
  /** Whether proxies listen for the control plane to ask their Envoys. */
  readonly adminListener: boolean;
  readonly kinds: readonly ResourceDescriptor[];
}

/** By type URL and name. The dataplane must be in the view. */
export function configOf(view: MeshView, name: string, context: ConfigContext): JsonObject {
  const { metadata, shadow, vipPort, adminListener, kinds } = context;
  const seen = shadow ? view : { ...view, policies: withoutShadows(view, kinds) };
  const { snapshot } = generateDataplane(seen, name, {
    node: parseNode(metadata),
    identity: view.mtls ? NOBODYS : null,
    vipPort,
    admin: adminListener ? NOBODYS : null,
  });
  return Object.fromEntries(
    [...snapshot.resources].map(([type, resources]) => [
      type,
      Object.fromEntries([...resources.values()].map((one) => [one.name, contentsOf(one)])),
    ]),
  );
}

/** Classic policies know no such thing. */
function withoutShadows(
  { policies }: MeshView,
  kinds: readonly ResourceDescriptor[],
): MeshView["policies"] {
  const known = new Map(kinds.map((kind) => [kind.name, kind]));
  return new Map(
    [...policies].map(([type, resources]) => [
      type,
      known.get(type)?.policy?.targetRef
        ? resources.filter((policy) => !isShadow(policy))
        : resources,
    ]),
  );
}

function contentsOf({ any }: EncodedResource): JsonObject {
  const { "@type": _, ...contents } = decode("google.protobuf.Any", any);
  return contents;
}
