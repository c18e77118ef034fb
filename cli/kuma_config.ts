// The configuration in the words of kuma-cp: its tools and peers look for what they know.

import type { JsonObject } from "../core/resource.ts";
import { accessOf, type ControlPlaneConfig } from "./settings.ts";

/**
 * What has a counterpart there; nothing is said of the rest. A peer that reads a store's type takes
 * any but `kubernetes` for Universal. kuma@v2.13.10:pkg/config/app/kuma-cp.
 */
export function kumaConfig(config: ControlPlaneConfig): JsonObject {
  const isGlobal = config.mode === "global";
  return {
    environment: "universal",
    mode: isGlobal ? "global" : "zone",
    general: { workDir: config.data },
    store: { type: "memory" },
    apiServer: apiServer(config),
    defaults: {
      skipMeshCreation: false,
      createMeshRoutingResources: config.meshRoutingResources,
      SkipHostnameGenerators: config.initialPolicies === "none",
    },
    multizone: isGlobal ? globalPart(config) : zonePart(config),
    ...(!isGlobal && zoneServers(config)),
    access: { type: "static", static: access(config) },
  };
}

function apiServer(config: ControlPlaneConfig): JsonObject {
  return {
    readOnly: false,
    http: { enabled: true, interface: config.bind, port: config.apiPort },
    https: config.apiTlsPort === null
      ? { enabled: false }
      : { enabled: true, interface: config.bind, port: config.apiTlsPort },
    authn: {
      type: "tokens",
      localhostIsAdmin: config.localhostIsAdmin,
      tokens: {
        bootstrapAdminToken: config.adminToken,
        enableIssuer: config.userTokenIssuer,
        validator: {
          useSecrets: config.userTokenSecrets,
          publicKeys: config.userTokenKeys.map(({ keyId, path }) => ({
            kid: keyId,
            keyFile: path,
          })),
        },
      },
    },
  };
}

function globalPart({ kdsPort, kdsPlaintext }: ControlPlaneConfig): JsonObject {
  return { global: { kds: { grpcPort: kdsPort, tlsEnabled: !kdsPlaintext } } };
}

function zonePart({ zone, global, globalCa }: ControlPlaneConfig): JsonObject {
  return {
    zone: {
      name: zone,
      ...(global !== null && { globalAddress: global, kds: { rootCaFile: globalCa ?? "" } }),
    },
  };
}

function zoneServers(config: ControlPlaneConfig): JsonObject {
  const byToken = config.dpAuth === "token";
  return {
    bootstrapServer: { params: { xdsPort: config.dpPort } },
    xdsServer: { dataplaneDeregistrationDelay: `${config.endpointLeaseMs / 1_000}s` },
    dnsServer: {
      domain: "mesh",
      CIDR: config.vipRange,
      serviceVipEnabled: true,
      serviceVipPort: config.vipPort,
    },
    dpServer: {
      port: config.dpPort,
      authn: {
        dpProxy: {
          type: byToken ? "dpToken" : "none",
          dpToken: { enableIssuer: config.dpTokenIssuer },
        },
        zoneProxy: {
          type: byToken ? "zoneToken" : "none",
          zoneToken: { enableIssuer: config.zoneTokenIssuer },
        },
        enableReloadableTokens: config.reloadableTokens,
      },
    },
  };
}

/** Kuma has the same words for it. */
function access(config: ControlPlaneConfig): JsonObject {
  return Object.fromEntries(
    Object.entries(accessOf(config)).map(([name, { users, groups }]) => [
      name,
      { users: [...users], groups: [...groups] },
    ]),
  );
}
