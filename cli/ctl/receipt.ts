// Receipts: waiting for the proxies' answers to a change, and telling about them.

import type { ProxyCounts, Receipt, ZoneReceipt } from "../../core/receipt.ts";
import type { JsonObject } from "../../core/resource.ts";
import { CommandError } from "../output.ts";
import { ask, refusalText, type Session } from "./session.ts";

/** One long poll; shorter than any client's or proxy's time-out. */
const POLL_MS_MAX = 20_000;

/** The receipt of a revision, complete or as it is when the time is over. Undefined: not kept. */
export async function awaitReceipt(
  session: Session,
  revision: number,
  timeoutMs: number,
): Promise<Receipt | undefined> {
  const from = session.io.nowMs();
  for (;;) {
    const leftMs = Math.max(0, from + timeoutMs - session.io.nowMs());
    const wait = Math.min(leftMs, POLL_MS_MAX);
    const answer = await session.http.request("GET", `/receipts/${revision}?wait=${wait}`);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200 || !answer.json) {
      throw new CommandError(
        `Cannot read the receipt of revision ${revision}: ` +
          refusalText(answer, session.http.address),
      );
    }
    const receipt = answer.json as unknown as Receipt;
    if (receipt.complete || session.io.nowMs() - from >= timeoutMs) return receipt;
  }
}

/** Waits, tells, and fails when a proxy refused the change or the time is over. */
export async function waitAndTell(
  session: Session,
  revision: number,
  timeoutMs: number,
): Promise<void> {
  const receipt = await awaitReceipt(session, revision, timeoutMs);
  if (!receipt) {
    session.io.err(`revision ${revision}: its receipt is not kept any more\n`);
    return;
  }
  session.io.out(receiptText(receipt));
  const failure = failureText(receipt, timeoutMs);
  if (failure) throw new CommandError(failure);
}

export async function showReceipt(
  session: Session,
  revision: number,
  { output }: { readonly output: string },
): Promise<void> {
  const { json } = await ask(session, {
    path: `/receipts/${revision}`,
    what: `get the receipt of revision ${revision}`,
  });
  const receipt = json as unknown as Receipt;
  if (output === "json") session.io.out(`${JSON.stringify(json, null, 2)}\n`);
  else {
    session.io.out(receiptText(receipt));
    for (const { proxy, state, ms } of receipt.perProxy) {
      session.io.out(`  ${proxy}: ${state}${ms === null ? "" : ` after ${duration(ms)}`}\n`);
    }
    for (const nack of receipt.nacks) session.io.out(`  ${nackText(nack)}\n`);
  }
}

export function receiptText({ revision, proxies, lastAckMs, zones = [] }: Receipt): string {
  return [`revision ${revision}: ${countsText(proxies, lastAckMs)}`, ...zones.map(zoneText)]
    .map((line) => `${line}\n`).join("");
}

function countsText(counts: ProxyCounts, lastAckMs: number | null | undefined): string {
  const { affected, acked, nacked, pending, offline } = counts;
  if (affected === 0) return "no proxy is affected";
  const after = acked > 0 && typeof lastAckMs === "number" ? ` after ${duration(lastAckMs)}` : "";
  const rest = Object.entries({ NACKed: nacked, pending, offline })
    .filter(([, count]) => count > 0).map(([word, count]) => `, ${count} ${word}`);
  const proxy = affected === 1 ? "proxy" : "proxies";
  return `${acked} of ${affected} ${proxy} ACKed${after}${rest.join("")}`;
}

function zoneText(
  { zone, delivered, ms, rejected, offline, proxies, lastAckMs }: ZoneReceipt,
): string {
  if (rejected !== undefined) return `zone ${zone}: rejected: ${rejected}`;
  if (!delivered) return `zone ${zone}: ${offline ? "offline" : "not delivered yet"}`;
  const after = ms === null ? "" : ` after ${duration(ms)}`;
  const counts = proxies ? `; ${countsText(proxies, lastAckMs)}` : "";
  return `zone ${zone}: delivered${after}${counts}${offline ? "; offline" : ""}`;
}

function failureText(receipt: Receipt, timeoutMs: number): string {
  const { revision, complete, nacks, proxies, zones = [] } = receipt;
  const refused = proxies.nacked +
    zones.reduce((sum, zone) => sum + (zone.proxies?.nacked ?? 0), 0);
  const lines: string[] = [];
  if (refused > 0) {
    const count = refused === 1 ? "1 proxy" : `${refused} proxies`;
    lines.push(`Revision ${revision} was refused by ${count}`, ...nacks.map(nackText));
  }
  for (const { zone, rejected } of zones) {
    if (rejected !== undefined) lines.push(`Zone ${zone} did not take it: ${rejected}`);
  }
  if (!complete) {
    const pending = receipt.perProxy.filter(({ state }) => state === "pending")
      .map(({ proxy }) => proxy);
    const late = zones.filter(({ awaited }) => awaited).map(({ zone, delivered }) =>
      delivered ? `the proxies of zone ${zone}` : `zone ${zone}`
    );
    lines.push(
      `Revision ${revision} is not everywhere after ${duration(timeoutMs)}; waiting for ` +
        `${[...pending, ...late].join(", ") || "an answer"}`,
    );
  }
  return lines.join("\n  ");
}

function nackText({ proxy, typeUrl, message }: Receipt["nacks"][number]): string {
  return `${proxy} NACKed ${typeUrl.split(".").at(-1)}: ${message}`;
}

function duration(ms: number): string {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

/** The revision that a write answered with; 0 from a control plane that has none (Kuma). */
export function revisionOf(json: JsonObject): number {
  return typeof json["revision"] === "number" ? json["revision"] : 0;
}
