// Which Kuma this Ursa speaks like.

/** Peers and clients compare versions: same major, minor at most two apart. */
export const KUMA_VERSION = "2.13.10";
