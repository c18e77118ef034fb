// A zone's end of its links with other zones, as kds/io/zone_links.ts has it, over the simulated
// network: each end shows its certificate first, and who it is follows from that.

import { PEERS } from "../actors/peers/messages.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../kds/envelope.ts";
import {
  CLIENT_KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  SERVER_KEEPALIVE_MS,
} from "../kds/io/methods.ts";
import type { LinkCommand, LinkEvent, Trusted } from "../kds/peer_wire.ts";
import type { ZoneLink } from "../kds/zone_link.ts";
import type { Host } from "./kds_edges.ts";
import type { DialOptions, End, Handler } from "./network.ts";

const LINK_DIAL: DialOptions = {
  port: "links",
  timeoutMs: 10_000,
  keepalive: {
    client: { intervalMs: CLIENT_KEEPALIVE_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
    server: { intervalMs: SERVER_KEEPALIVE_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
  },
};
const OPEN_MS_MAX = 10_000;
const AGAIN_MS = 200;
const TOO_MUCH = "more than can be handled";
const HELLO = "hello";
const ASKS = "asks";
const TELLS = "tells";

interface Live {
  readonly id: string;
  readonly zone: string;
  readonly certificate: string;
  readonly end: End | null;
  opened: boolean;
}

/** How others reach the zone that lives at a site. */
export function reachOf(site: string): ZoneLink {
  return { host: site, port: 1, certificate: `-----BEGIN CERTIFICATE-----\n${site}\n` };
}

export class LinkEdge {
  readonly #host: Host;
  readonly #own: string;
  /** Of the process whose edge this is. */
  readonly #incarnation: number;
  #trusted: readonly Trusted[] = [];
  readonly #links = new Map<string, Live>();
  #serial = 0;

  constructor(host: Host) {
    this.#host = host;
    this.#incarnation = host.site.incarnation;
    this.#own = reachOf(host.site.name).certificate;
  }

  get links(): number {
    return this.#links.size;
  }

  command(what: LinkCommand): void {
    switch (what.do) {
      case "trust":
        this.#trusted = what.peers;
        for (const link of [...this.#links.values()]) {
          const { zone, certificate } = link;
          if (this.#nameOf(certificate) !== zone) this.#over(link, "named no more");
        }
        return;
      case "dial":
        return this.#dial(what);
      case "send": {
        const end = this.#links.get(what.link)?.end;
        if ("request" in what) end?.send(ASKS, encodeRequest(what.request));
        else end?.send(TELLS, encodeResponse(what.response));
        return;
      }
      case "close": {
        const link = this.#links.get(what.link);
        if (link) this.#over(link, what.reason);
      }
    }
  }

  accept(end: End): Handler {
    let link: Live | null = null;
    return {
      frame: (channel, bytes) => {
        if (channel !== HELLO) return link ? this.#received(link, channel, bytes) : end.close();
        const certificate = new TextDecoder().decode(bytes);
        const zone = this.#nameOf(certificate);
        if (zone === null) {
          this.#host.count("link strangers");
          return end.close();
        }
        link = { id: `link-${++this.#serial}`, zone, certificate, end, opened: false };
        this.#links.set(link.id, link);
        end.send(HELLO, new TextEncoder().encode(this.#own));
        this.#opened(link, false);
      },
      ended: () => {},
      lost: (reason) => link && this.#over(link, reason),
    };
  }

  #nameOf(certificate: string): string | null {
    return this.#trusted.find((peer) => peer.certificate === certificate)?.zone ?? null;
  }

  #dial({ link: id, peer, host }: LinkCommand & { readonly do: "dial" }): void {
    const { network, site } = this.#host;
    const trusted = this.#trusted.find(({ zone }) => zone === peer);
    const certificate = trusted?.certificate ?? "";
    const dialing: Live = { id, zone: peer, certificate, end: null, opened: false };
    this.#links.set(id, dialing);
    if (!trusted) return this.#over(dialing, "named no more");
    network.dial(site, network.site(host), LINK_DIAL, (end) => {
      if (this.#links.get(id) !== dialing) return typeof end === "string" ? undefined : end.close();
      if (typeof end === "string") return this.#over(dialing, end);
      const link: Live = { ...dialing, end };
      this.#links.set(id, link);
      end.handler = {
        frame: (channel, bytes) => {
          if (channel !== HELLO) return this.#received(link, channel, bytes);
          if (new TextDecoder().decode(bytes) === certificate) return this.#opened(link, true);
          this.#over(link, "it shows another certificate");
        },
        ended: () => {},
        lost: (reason) => this.#over(link, reason),
      };
      end.send(HELLO, new TextEncoder().encode(this.#own));
      network.agenda.after(OPEN_MS_MAX, () => {
        if (!link.opened) this.#over(link, "it does not answer");
      });
    });
  }

  #opened(link: Live, dialled: boolean): void {
    if (this.#links.get(link.id) !== link) return;
    link.opened = true;
    const { id, zone: peer } = link;
    if (!this.#tell({ tag: "link_opened", link: id, peer, dialled, run: null })) {
      return this.#over(link, TOO_MUCH);
    }
    this.#host.count(`link ${dialled ? "dialled" : "accepted"}`);
  }

  #received(link: Live, channel: string, bytes: Uint8Array): void {
    if (this.#links.get(link.id) !== link || !link.opened) return;
    const event: LinkEvent = channel === ASKS
      ? { tag: "link_request", link: link.id, request: decodeRequest(bytes) }
      : { tag: "link_response", link: link.id, response: decodeResponse(bytes) };
    this.#host.count(event.tag.replace("_", " "));
    if (!this.#tell(event)) this.#over(link, TOO_MUCH);
  }

  #over(link: Live, reason: string): void {
    if (this.#links.get(link.id)?.id !== link.id) return;
    this.#links.delete(link.id);
    link.end?.close();
    this.#tellOver(link.id, reason);
  }

  /** Again, until there is room to hear of it. */
  #tellOver(link: string, reason: string): void {
    const { network, site } = this.#host;
    if (site.incarnation !== this.#incarnation) return;
    if (this.#tell({ tag: "link_closed", link, reason })) return;
    network.agenda.after(AGAIN_MS, () => this.#tellOver(link, reason));
  }

  #tell(event: LinkEvent): boolean {
    return this.#host.deliver(PEERS, event);
  }
}
