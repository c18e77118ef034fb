// Who a stream is, and whether it may be that; a refusal is told once.

import { INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE } from "../../core/grpc_status.ts";
import { dataplanePath } from "../dataplane/messages.ts";
import { command, type Context, count, type Effect, log } from "../runtime/actor.ts";
import type { VerifiedToken } from "../../identity/tokens/verify.ts";
import type { ProxiesMsg } from "./messages.ts";
import { readRegistration, type Registration } from "./registration.ts";
import { show } from "../../core/shape.ts";
import type { State } from "./state.ts";
import { claimsOn, meshMissing, vouchFor } from "./vouching.ts";

/** More nodes than this that are refused at once are logged again. */
const REFUSALS_KEPT = 4_096;

/** What is wrong with hostile input can be as long as that. */
const REASON_CHARS_MAX = 2_000;

type Admission =
  | { readonly ok: false; readonly refusal: readonly Effect[] }
  /** The token is null where none is asked for. */
  | (Registration & { readonly ok: true } & { readonly token: VerifiedToken | null });

/** Who a stream is, and whether it may be that. */
export function admit(
  state: State,
  msg: ProxiesMsg & { readonly tag: "stream_opened" | "health_opened" },
  at: Context,
): Admission {
  const registration = readRegistration(msg.node, state.args);
  const refused = (why: Omit<Refusal, "reason"> & { readonly reason?: string }): Admission => {
    const id = registration.ok ? dataplanePath(registration.key) : show(msg.node["id"] ?? "");
    const refusal = refuse(state, msg.stream, { id, reason: "registration", ...why });
    return { ok: false, refusal };
  };
  if (!registration.ok) return refused({ code: INVALID_ARGUMENT, message: registration.reason });
  const { key, resource } = registration;
  const missing = meshMissing(state, key);
  if (missing) return refused({ ...missing, reason: "registration" });
  const path = dataplanePath(key);
  if (state.foreign.has(path)) {
    const message = `ZoneIngress "${key.name}" is another zone's: choose another name`;
    return refused({ code: PERMISSION_DENIED, message });
  }
  const claimed = [...(resource ? [{ resource }] : []), ...claimsOn(state, path)];
  const vouched = vouchFor(state, { proxy: key, credential: msg.credential, claimed }, at);
  if (!vouched.ok) return refused(vouched);
  const crashed = state.parked.get(path);
  if (crashed && !crashed.over) {
    const message = `its part of the control plane crashed too often: ${crashed.reason}`;
    return refused({ code: UNAVAILABLE, message });
  }
  return { ...registration, token: vouched.token };
}

interface Refusal {
  /** A word for counters. */
  readonly reason: string;
  readonly code: number;
  readonly message: string;
}

function refuse(
  state: State,
  stream: string,
  refusal: Refusal & { readonly id: string },
): readonly Effect[] {
  const { id, reason, code } = refusal;
  const message = refusal.message.slice(0, REASON_CHARS_MAX);
  return [
    ...noted(state, id, { reason, message }),
    command("xds", { do: "end", stream, code, message }),
  ];
}

/** Counted each time, logged once for each reason: a proxy comes back every few seconds. */
export function noted(
  { refusals }: State,
  id: string,
  { reason, message }: Pick<Refusal, "reason" | "message">,
): readonly Effect[] {
  const said = refusals.get(id) === message;
  const [oldest] = refusals.keys();
  if (refusals.size >= REFUSALS_KEPT && oldest !== undefined) refusals.delete(oldest);
  refusals.set(id, message);
  return [
    ...(said ? [] : [log("warn", "stream refused", { proxy: id, reason: message })]),
    count("ursa_xds_streams_refused_total", { reason }),
  ];
}
