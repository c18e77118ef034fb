// How long proxies wait and how often they try, as long as no policy says it. Durations as proto3 JSON writes them.

/** To a peer or a workload: longer than any healthy handshake, short enough to try another endpoint. */
export const CONNECT_TIMEOUT = "5s";
/** The receiving side waits longer than the sending one, so that idle connections end at the client's end. */
export const INBOUND_IDLE = "7200s";
export const UPSTREAM_IDLE = "3600s";
export const INBOUND_STREAM_IDLE = "3600s";
/** A long poll or an upload may be silent for a while. */
export const OUTBOUND_STREAM_IDLE = "1800s";
/** No limit on a whole request: what is too long only the caller knows. */
export const REQUEST_TIMEOUT = "0s";

/**
 * Tries of a connection that was never made, so nothing is done twice, whatever the method: an
 * endpoint that has just gone away costs no request.
 */
export const CONNECT_TRIES = 3;
/** How often a try draws again because it got an endpoint that was tried before. */
export const ENDPOINT_DRAWS = 5;
export const RETRY_ON = "connect-failure,refused-stream";
