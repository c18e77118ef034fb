// A zone's links with other zones: its certificate, its listener, and how others reach it.

import { join } from "node:path";
import { PEERS } from "../actors/peers/messages.ts";
import type { System } from "../actors/runtime/io/pump.ts";
import type { Port } from "../actors/runtime/kernel.ts";
import { ensureLinkCertificate } from "../identity/io/link_certificate.ts";
import { openZoneLinks } from "../kds/io/zone_links.ts";
import type { LinkCommand } from "../kds/peer_wire.ts";
import { linkHost, type ZoneLink } from "../kds/zone_link.ts";
import { countersOf, hostText, type Listening, named, socketFile } from "./listen.ts";
import type { Parts } from "./run.ts";
import { type ControlPlaneConfig, isUnspecified } from "./settings.ts";

export interface OpenLinks extends Listening {
  /** As global tells the other zones. */
  readonly reach: ZoneLink;
  readonly port: Port;
  /** From now on the actors hear of links. */
  deliverTo(system: Pick<System, "send">): void;
}

/** Null when this control plane is not to speak with other zones. */
export async function openLinks(parts: Parts): Promise<OpenLinks | null> {
  const { config, log, metrics, instanceId } = parts;
  const { bind, data, zone, zoneLinksPort } = config;
  if (config.mode !== "remote" || !config.zoneLinks) return null;
  const pair = await ensureLinkCertificate({ dir: data, host: linkHost(zone) });
  let system: Pick<System, "send"> | null = null;
  const links = await named("--zone-links-port", zoneLinksPort, () =>
    openZoneLinks({
      hostname: bind,
      port: zoneLinksPort,
      pair,
      run: { instance: instanceId, startedAtMs: Date.now() },
      socketPath: (serial) => socketFile(join(data, `link-${serial}.sock`)),
      deliver: (event) => system?.send(PEERS, event) ?? false,
      onPeerError: ({ peer, message }) =>
        log("warn", "connection with another zone refused", { peer, reason: message }),
    }));
  countersOf(
    metrics,
    "ursa_zone_link_connections_total",
    "What connections with other zones did.",
    () => links.counters(),
  );
  const { port } = links.address;
  const reach = { ...reachOf(config, port), certificate: pair.cert };
  if (reach.host === "") {
    log("info", "other zones cannot dial this one", {
      why: "it listens on every address",
      advice: "--zone-links-advertise HOST tells them one",
    });
  }
  return {
    name: "links",
    url: `tls://${hostText(bind)}:${port}`,
    reach,
    port: (what) => links.command(what as LinkCommand),
    deliverTo: (actors) => {
      system = actors;
    },
    close: () => links.close(),
  };
}

function reachOf(
  { bind, zoneLinksAdvertise: told }: ControlPlaneConfig,
  port: number,
): Pick<ZoneLink, "host" | "port"> {
  if (told === null) return { host: isUnspecified(bind) ? "" : bind, port };
  const { hostname, port: toldPort } = new URL(`grpcs://${told}`);
  return {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: toldPort === "" ? port : Number(toldPort),
  };
}
