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
export const RETRY_ON = "connect-failure,refused-stream,reset-before-request";
/** Under way at once; Envoy's own limit is 3, and whoever comes when an endpoint goes would be refused. */
export const RETRIES_MAX = 1_024;
/** After so many tries among the nearest endpoints those that are further away have their turn. */
export const NEAR_TRIES = 2;

/**
 * An endpoint to which no connection can be made gets no requests for a while, and those that are
 * further away do if it was the last. What it answers, errors included, is its own business.
 */
export const EJECTION = {
  consecutive_local_origin_failure: 3,
  split_external_local_origin_errors: true,
  enforcing_consecutive_5xx: 0,
  enforcing_success_rate: 0,
  enforcing_local_origin_success_rate: 0,
  interval: "1s",
  base_ejection_time: "5s",
  max_ejection_time: "30s",
  max_ejection_percent: 100,
} as const;

/** A peer that vanished without a word: requests on their way to it end, rather than wait for ever. */
export const PEER_PING = { interval: "10s", timeout: "5s" } as const;
