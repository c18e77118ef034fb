// What passes between two zones without global: the dialect's messages over one connection of a pair,
// and the edge's events. Each end says what it has, and hears the other for as long as it wants to.

import type { KdsRequest, KdsResponse, ZoneRun } from "./wire.ts";

/** All to `peers`. An event of a link that is over comes too late. */
export type LinkEvent =
  | {
    readonly tag: "link_opened";
    readonly link: string;
    /** By the certificate that it showed. */
    readonly peer: string;
    readonly dialled: boolean;
    /** Of who dialled; null for who was. */
    readonly run: ZoneRun | null;
  }
  | { readonly tag: "link_request"; readonly link: string; readonly request: KdsRequest }
  | { readonly tag: "link_response"; readonly link: string; readonly response: KdsResponse }
  | { readonly tag: "link_closed"; readonly link: string; readonly reason: string };

export interface Trusted {
  readonly zone: string;
  readonly certificate: string;
}

export type LinkCommand =
  /** Nobody else from now on, by no other certificate: links with others end. */
  | { readonly do: "trust"; readonly peers: readonly Trusted[] }
  /** One that is trusted; told with `link_opened` or `link_closed`. */
  | {
    readonly do: "dial";
    readonly link: string;
    readonly peer: string;
    readonly host: string;
    readonly port: number;
  }
  | { readonly do: "send"; readonly link: string; readonly request: KdsRequest }
  | { readonly do: "send"; readonly link: string; readonly response: KdsResponse }
  | { readonly do: "close"; readonly link: string; readonly reason: string };

/** The peer need not be told any more, until it is asked again. */
export function unsubscription(typeUrl: string, nodeId: string): KdsRequest {
  return { typeUrl, nonce: "", nodeId, subscribe: [], initialVersions: {} };
}

export function isUnsubscription({ nonce, subscribe }: KdsRequest): boolean {
  return nonce === "" && subscribe.length === 0;
}
