// Bounds that keep hostile or mistaken input from costing more than it should.

/** Nesting of messages and of Struct values; protobuf's own implementations stop at 100 too. */
export const MESSAGE_DEPTH_MAX = 100;

/** Violations listed for one input. */
export const VIOLATIONS_MAX = 100;

/** The shortest life of a certificate that leaves time to renew it, in milliseconds. */
export const CERTIFICATE_LIFETIME_MIN_MS = 1_000;

/** Length of YAML from outside: its parser takes a quarter of a second for as much. */
export const YAML_CHARS_MAX = 64 * 1024;
