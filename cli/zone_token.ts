// How a zone trusts global and is known by it: settings, or what an earlier start with them kept.

import { join } from "node:path";
import { keepFile, readKept } from "../kds/io/kept_file.ts";
import { pinnedRoot } from "../kds/io/pinned_root.ts";
import { parseGlobalUrl } from "../kds/io/client.ts";
import { readNamed } from "./named_file.ts";
import type { ControlPlaneConfig } from "./settings.ts";

export interface Membership {
  /** PEM of global's root; null: the system's. */
  readonly ca: () => Promise<string | null>;
  /** What proves the zone's name; null: nothing. */
  readonly token: () => Promise<string | null>;
}

/** Writes down what was given on the command line, so that it need not stand there again. */
export async function membership(config: ControlPlaneConfig): Promise<Membership> {
  const { data, zoneToken, zoneTokenFile, globalCa, globalCaFingerprint } = config;
  const kept = join(data, "zone-token");
  if (zoneToken !== null) await keepFile(kept, `${zoneToken.trim()}\n`);
  const target = parseGlobalUrl(config.global!);
  return {
    ca: async () => {
      if (globalCa !== null) return await readNamed("--global-ca", globalCa);
      if (!target.secure) return null;
      const { host, port } = target;
      const file = join(data, "global-ca.crt");
      return await pinnedRoot({ host, port, fingerprint: globalCaFingerprint, file });
    },
    token: async () => {
      const text = zoneTokenFile === null
        ? await readKept(kept)
        : await readNamed("--zone-token-file", zoneTokenFile);
      const token = text?.trim() || null;
      if (token === null || target.secure) return token;
      throw new Error(
        "grpc:// would show this zone's token to everybody on the way: use grpcs://, or remove " +
          `${zoneTokenFile ?? kept}`,
      );
    },
  };
}
