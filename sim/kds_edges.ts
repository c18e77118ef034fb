// Both ends of the connection between a zone and global, as kds/io has them, over the simulated
// network: the same events and commands for the actors, the same bytes on the wire.

import { UPLINK } from "../actors/uplink/messages.ts";
import type { Message, Path } from "../actors/runtime/actor.ts";
import {
  ABORTED,
  FAILED_PRECONDITION,
  INTERNAL,
  INVALID_ARGUMENT,
  PERMISSION_DENIED,
  RESOURCE_EXHAUSTED,
  UNAUTHENTICATED,
  UNAVAILABLE,
} from "../core/grpc_status.ts";
import { readDigests, writeDigests } from "../kds/digest.ts";
import type { EnvoyAnswer } from "../core/envoy_admin.ts";
import {
  ADMIN_KINDS,
  type AdminRequest,
  decodeAdminAnswer,
  decodeAdminRequest,
  encodeAdminAnswer,
  encodeAdminRequest,
} from "../kds/admin.ts";
import { Questions } from "../kds/io/questions.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse } from "../kds/envelope.ts";
import {
  CLIENT_KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  REACH_MS_MAX,
  readReports,
  SERVER_KEEPALIVE_MS,
} from "../kds/io/methods.ts";
import {
  type CallerInfo,
  type ClientCommand,
  type ClientEvent,
  HASH_SUFFIX,
  isSync,
  MESSAGE_BYTES_MAX,
  type ServerCommand,
  type ServerEvent,
  type StreamKind,
  ZONE_PING_HEALTH,
  type ZoneRun,
} from "../kds/wire.ts";
import { decode, encode } from "../proto/mod.ts";
import type { DialOptions, End, Ended, Handler, Network, Site } from "./network.ts";
import type { Quirks } from "./quirks.ts";
import type { Luck } from "./unlucky.ts";

/** What an edge knows of the process that it belongs to. */
export interface Host {
  readonly site: Site;
  readonly network: Network;
  readonly luck: Luck;
  readonly quirks: Quirks;
  /** A zone asks one of its Envoys. */
  inquire(request: AdminRequest, answered: (answer: EnvoyAnswer) => void): void;
  /** What proves the name of a zone. */
  token(): string | null;
  /** False: nobody lives there, or there is no room. */
  deliver(to: Path, msg: Message): boolean;
  count(what: string): void;
}

const KINDS: readonly StreamKind[] = [
  "global_to_zone",
  "zone_to_global",
  "xds",
  "stats",
  "clusters",
];
const HEALTH = "health";
const HEALTH_RESPONSE = "kuma.mesh.v1alpha1.ZoneHealthCheckResponse";
const GLOBAL: Path = "global";
const ADMIT_MS_MAX = 10_000;
const HEALTH_MS_MAX = 10_000;
const REOPEN_MS = 1_000;
const PEER_ERROR: Readonly<Record<string, number>> = {
  canceled: 1,
  invalid_argument: INVALID_ARGUMENT,
  aborted: ABORTED,
  internal: INTERNAL,
  unavailable: UNAVAILABLE,
  unauthenticated: UNAUTHENTICATED,
  permission_denied: PERMISSION_DENIED,
  failed_precondition: FAILED_PRECONDITION,
};

/** What the library calls them. */
const STATUS: Readonly<Record<number, string>> = {
  [INVALID_ARGUMENT]: "INVALID_ARGUMENT",
  [PERMISSION_DENIED]: "PERMISSION_DENIED",
  [RESOURCE_EXHAUSTED]: "RESOURCE_EXHAUSTED",
  [FAILED_PRECONDITION]: "FAILED_PRECONDITION",
  [ABORTED]: "ABORTED",
  [INTERNAL]: "INTERNAL",
  [UNAVAILABLE]: "UNAVAILABLE",
  [UNAUTHENTICATED]: "UNAUTHENTICATED",
};

const KDS_DIAL: DialOptions = {
  port: "kds",
  timeoutMs: REACH_MS_MAX,
  keepalive: {
    client: { intervalMs: CLIENT_KEEPALIVE_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
    server: { intervalMs: SERVER_KEEPALIVE_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
  },
};

const text = new TextEncoder();

/** A call's metadata goes first on its stream, as its headers do. */
interface Headers {
  readonly zone: string;
  readonly authorization: string | null;
  readonly run: ZoneRun;
  readonly reports?: string;
  readonly digests?: string;
}

// ---- global

interface Open {
  readonly end: End;
  readonly kind: StreamKind;
  readonly channel: string;
  readonly zone: string;
  readonly authorization: string | null;
  readonly sinceMs: number;
  to: Path | null;
  waiting: Uint8Array[];
}

export class KdsServerEdge {
  readonly #host: Host;
  readonly #open = new Map<string, Open>();
  /** Health checks without an answer. */
  readonly #checks = new Map<string, (refused?: Ended) => void>();
  readonly #questions = new Questions((ms, act) => {
    let isOff = false;
    this.#host.network.agenda.after(ms, () => isOff || act());
    return () => {
      isOff = true;
    };
  });
  #serial = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  get streams(): number {
    return this.#open.size;
  }

  get questions(): number {
    return this.#questions.waiting;
  }

  /** Global asks a zone about one of its Envoys. */
  ask(zone: string, request: AdminRequest, settle: (answer: EnvoyAnswer) => void): void {
    const { kind } = request.question;
    const found = [...this.#open].findLast(([, open]) =>
      open.zone === zone && open.kind === kind && open.to !== null
    );
    if (!found) return settle({ ok: false, reason: "unreachable", detail: "it is not connected" });
    const [stream, { end, channel }] = found;
    const send = () => end.send(channel, encodeAdminRequest(request));
    this.#questions.ask(stream, request, { send, settle });
  }

  /** Who was let in, with what. */
  *admitted(): Iterable<readonly [string, Open]> {
    for (const entry of this.#open) if (entry[1].to !== null) yield entry;
  }

  accept(end: End): Handler {
    const byChannel = new Map<string, string>();
    return {
      frame: (channel, bytes) => {
        if (channel.startsWith(HEALTH)) return this.#health(end, channel, bytes);
        const stream = byChannel.get(channel);
        if (stream === undefined) {
          const opened = this.#opened(end, channel, bytes);
          if (opened !== null) byChannel.set(channel, opened);
        } else this.#received(stream, bytes);
      },
      ended: (channel) => {
        const stream = byChannel.get(channel);
        byChannel.delete(channel);
        if (stream !== undefined) this.#closed(stream);
      },
      lost: () => {
        for (const stream of byChannel.values()) this.#closed(stream);
        byChannel.clear();
      },
    };
  }

  command(what: ServerCommand): void {
    if (what.do === "end_all") {
      for (const [stream, { to }] of [...this.#open]) {
        if (to !== what.to) continue;
        this.#end(stream, { code: PEER_ERROR["unavailable"]!, message: "global restarted a part" });
      }
      return;
    }
    if (what.do === "answer_health") {
      const { check, refusal: refused } = what;
      return this.#checks.get(check)?.(
        refused && { code: PEER_ERROR[refused.code]!, message: refused.message },
      );
    }
    const open = this.#open.get(what.stream);
    if (!open) {
      if (what.do === "admit") this.#tellClosed(what.to, what.stream);
      return;
    }
    switch (what.do) {
      case "admit":
        open.to = what.to;
        for (const bytes of open.waiting.splice(0)) this.#received(what.stream, bytes);
        if (this.#host.luck.strikes("a zone's stream ends when it is admitted")) {
          this.#end(what.stream, { code: PEER_ERROR["unavailable"]!, message: "bad luck" });
        }
        return;
      case "send": {
        const bytes = "request" in what
          ? encodeRequest(what.request)
          : encodeResponse(what.response);
        if (bytes.length > MESSAGE_BYTES_MAX) {
          this.#host.count("kds oversize");
          const message = `Attempted to send message with a size larger than ${MESSAGE_BYTES_MAX}`;
          return this.#end(what.stream, { code: RESOURCE_EXHAUSTED, message });
        }
        return open.end.send(open.channel, bytes);
      }
      case "close":
        return this.#end(what.stream, { code: PEER_ERROR[what.code]!, message: what.message });
    }
  }

  /** As a process that stops in order. */
  endAll(): void {
    for (const stream of [...this.#open.keys()]) {
      this.#end(stream, { code: UNAVAILABLE, message: "global is stopping" });
    }
  }

  #opened(end: End, channel: string, bytes: Uint8Array): string | null {
    const { zone, run, authorization } = JSON.parse(new TextDecoder().decode(bytes)) as Headers;
    const kind = channel.split(" ")[0] as StreamKind;
    const stream = `kds-${++this.#serial}`;
    const sinceMs = this.#host.network.agenda.nowMs;
    const open: Open = {
      end,
      kind,
      channel,
      zone,
      authorization,
      sinceMs,
      to: null,
      waiting: [],
    };
    this.#open.set(stream, open);
    const event: ServerEvent = {
      tag: "stream_opened",
      stream,
      kind,
      zone,
      caller: callerOf(end, { run, authorization }),
    };
    if (!this.#host.deliver(GLOBAL, event)) {
      this.#end(stream, { code: UNAVAILABLE, message: "too many zones connect at once" });
      return null;
    }
    this.#host.network.agenda.after(ADMIT_MS_MAX, () => {
      if (this.#open.get(stream) === open && open.to === null) {
        this.#host.count("kds streams not admitted");
        this.#end(stream, { code: UNAVAILABLE, message: "nobody takes this stream; try again" });
      }
    });
    return stream;
  }

  #received(stream: string, bytes: Uint8Array): void {
    const open = this.#open.get(stream);
    if (!open) return;
    if (bytes.length > MESSAGE_BYTES_MAX) {
      this.#host.count("kds oversize");
      return this.#end(stream, { code: RESOURCE_EXHAUSTED, message: "Received message too large" });
    }
    if (open.to === null) {
      open.waiting.push(bytes);
      return;
    }
    const { kind } = open;
    let event: ServerEvent;
    try {
      if (!isSync(kind)) {
        const isAsked = this.#questions.answered(stream, decodeAdminAnswer(kind, bytes));
        return this.#host.count(isAsked ? "kds answers" : "kds answers that nobody waits for");
      }
      event = kind === "global_to_zone"
        ? { tag: "request_received", stream, request: decodeRequest(bytes) }
        : { tag: "response_received", stream, response: decodeResponse(bytes) };
      noteMessage(this.#host, event);
    } catch {
      this.#host.count("kds malformed");
      return this.#end(stream, { code: INVALID_ARGUMENT, message: "malformed message" });
    }
    if (this.#host.deliver(open.to, event)) return;
    this.#host.count("kds overrun");
    this.#end(stream, { code: UNAVAILABLE, message: "more than can be handled; try again" });
  }

  #health(end: End, channel: string, bytes: Uint8Array): void {
    const { zone, run, reports, authorization, digests = "" } = JSON.parse(
      new TextDecoder().decode(bytes),
    ) as Headers;
    const check = `check-${++this.#serial}`;
    this.#checks.set(check, (refused) => {
      this.#checks.delete(check);
      if (this.#host.luck.strikes("a health check is lost")) return end.close();
      if (refused) return end.end(channel, refused);
      end.send(channel, encode(HEALTH_RESPONSE, { interval: "10s" }));
    });
    const event: ServerEvent = {
      tag: "health_checked",
      check,
      zone,
      caller: callerOf(end, { run, authorization }),
      reports: readReports(reports ?? "[]"),
      digests: readDigests(digests),
    };
    if (!this.#host.deliver(GLOBAL, event)) end.close();
    // Whoever asks gives up before: nobody waits for the answer any more.
    this.#host.network.agenda.after(HEALTH_MS_MAX, () => this.#checks.delete(check));
  }

  #end(stream: string, why: Ended): void {
    const open = this.#open.get(stream);
    if (!open) return;
    open.end.end(open.channel, why);
    this.#closed(stream);
  }

  #closed(stream: string): void {
    const open = this.#open.get(stream);
    if (!open) return;
    this.#open.delete(stream);
    this.#questions.streamEnded(stream);
    this.#tellClosed(GLOBAL, stream);
    if (open.to !== null) this.#tellClosed(open.to, stream);
  }

  #tellClosed(to: Path, stream: string): void {
    const event: ServerEvent = { tag: "stream_closed", stream, reason: "the stream ended" };
    this.#host.deliver(to, event);
  }
}

// ---- the zone

interface Live {
  readonly id: string;
  readonly end: End | null;
  over: boolean;
}

export class KdsClientEdge {
  readonly #host: Host;
  readonly #global: Site;
  readonly #run: ZoneRun;
  #live: Live | null = null;
  #healthChecks = 0;
  #reopened = 0;

  constructor(host: Host, global: Site, run: ZoneRun) {
    this.#host = host;
    this.#global = global;
    this.#run = run;
  }

  get end(): End | null {
    return this.#live?.end ?? null;
  }

  command(what: ClientCommand): void {
    switch (what.do) {
      case "connect":
        return this.#connect(what.connection, what.zone);
      case "send": {
        const live = this.#live;
        if (live?.id !== what.connection || live.over || !live.end) return;
        const [kind, bytes] = "request" in what
          ? ["global_to_zone", encodeRequest(this.#host.quirks.said(what.request))] as const
          : ["zone_to_global", encodeResponse(what.response)] as const;
        if (bytes.length > MESSAGE_BYTES_MAX) {
          this.#host.count("kds oversize");
          return this.#lost(live, "RESOURCE_EXHAUSTED: Attempted to send message too large");
        }
        return live.end.send(kind, bytes);
      }
      case "check_health":
        return this.#checkHealth(what);
      case "close":
        if (this.#live?.id === what.connection) this.#close(this.#live);
    }
  }

  #connect(id: string, zone: string): void {
    const { network, site } = this.#host;
    this.#close(this.#live);
    const dialing: Live = { id, end: null, over: false };
    this.#live = dialing;
    network.dial(site, this.#global, KDS_DIAL, (end) => {
      if (dialing.over) return typeof end === "string" ? undefined : end.close();
      if (typeof end === "string") return this.#lost(dialing, end);
      const live: Live = { id, end, over: false };
      this.#live = live;
      end.handler = {
        frame: (channel, bytes) => this.#received(live, channel, bytes),
        ended: (channel, { code, message }) =>
          this.#ended(live, channel, zone, `${STATUS[code] ?? code}: ${message}`),
        lost: (reason) => this.#lost(live, reason),
      };
      for (const kind of KINDS) end.send(kind, this.#headers(zone));
      this.#tell({ tag: "connected", connection: id });
    });
  }

  #ended(live: Live, channel: string, zone: string, reason: string): void {
    if (live.over) return;
    if (channel === "global_to_zone" || channel === "zone_to_global") {
      return this.#lost(live, reason);
    }
    const kind = channel.split(" ")[0]!;
    this.#host.network.agenda.after(REOPEN_MS, () => {
      if (!live.over) live.end!.send(`${kind} ${++this.#reopened}`, this.#headers(zone));
    });
  }

  #received(live: Live, channel: string, bytes: Uint8Array): void {
    if (live.over) return;
    if (bytes.length > MESSAGE_BYTES_MAX) {
      this.#host.count("kds oversize");
      return this.#lost(live, "RESOURCE_EXHAUSTED: Received message too large");
    }
    const { id } = live;
    let event: ClientEvent;
    try {
      if (channel === "global_to_zone") {
        const response = this.#host.quirks.heard(decodeResponse(bytes));
        event = { tag: "response_received", connection: id, response };
      } else if (channel === "zone_to_global") {
        const request = this.#host.quirks.said(decodeRequest(bytes));
        event = { tag: "request_received", connection: id, request };
      } else return this.#asked(live, channel, bytes);
      noteMessage(this.#host, event);
    } catch (error) {
      this.#host.count("kds malformed");
      return this.#lost(live, `malformed message: ${(error as Error).message}`);
    }
    this.#tell(event);
  }

  #asked(live: Live, channel: string, bytes: Uint8Array): void {
    const kind = ADMIN_KINDS.find((known) => channel.startsWith(known));
    if (!kind) return;
    const request = decodeAdminRequest(kind, bytes);
    this.#host.inquire(request, (answer) => {
      if (live.over) return;
      const { id } = request;
      live.end!.send(channel, encodeAdminAnswer(kind, { id, answer }, MESSAGE_BYTES_MAX));
    });
  }

  #lost(live: Live, reason: string): void {
    if (live.over) return;
    this.#close(live);
    this.#tell({ tag: "disconnected", connection: live.id, reason });
  }

  #close(live: Live | null): void {
    if (!live || live.over) return;
    live.over = true;
    if (this.#live === live) this.#live = null;
    live.end?.close();
  }

  #checkHealth(
    { connection, zone, reports, digests }: ClientCommand & { readonly do: "check_health" },
  ): void {
    const { network, site } = this.#host;
    let over = false;
    const answered = (intervalMs: number, error?: string): void => {
      if (over) return;
      over = true;
      this.#tell({
        tag: "health_answered",
        connection,
        intervalMs,
        ...(error !== undefined && { error }),
      });
    };
    network.dial(site, this.#global, KDS_DIAL, (end) => {
      if (typeof end === "string") return answered(0, end);
      end.handler = {
        frame: (_channel, bytes) => {
          end.close();
          const { interval } = decode(HEALTH_RESPONSE, bytes) as { interval?: string };
          answered(Number(interval?.replace(/s$/, "") ?? 0) * 1_000);
        },
        ended: (_channel, { message }) => answered(0, message),
        lost: (reason) => answered(0, reason),
      };
      const told = reports.length > 0 ? JSON.stringify(reports) : undefined;
      end.send(
        `${HEALTH} ${++this.#healthChecks}`,
        this.#headers(zone, {
          ...(told !== undefined && { reports: told }),
          ...(digests && { digests: writeDigests(digests) }),
        }),
      );
      network.agenda.after(HEALTH_MS_MAX, () => {
        answered(0, "DEADLINE_EXCEEDED");
        end.close();
      });
    });
  }

  #headers(zone: string, told: Pick<Headers, "reports" | "digests"> = {}): Uint8Array {
    const headers: Headers = { zone, run: this.#run, authorization: this.#host.token(), ...told };
    return text.encode(JSON.stringify(headers));
  }

  #tell(event: ClientEvent): void {
    this.#host.deliver(UPLINK, event);
  }
}

function callerOf(
  { peer }: End,
  { run, authorization }: Pick<Headers, "run" | "authorization">,
): CallerInfo {
  const features = [ZONE_PING_HEALTH, HASH_SUFFIX];
  const given = authorization === null ? [] : [`Bearer ${authorization}`];
  return { features, version: "sim", peer: peer.site.name, authorization: given, run };
}

function noteMessage({ network, site, count }: Host, event: ServerEvent | ClientEvent): void {
  if (event.tag === "request_received") {
    const { typeUrl, nonce, error } = event.request;
    const kind = nonce === "" ? "subscribes" : error === undefined ? "ack" : "nack";
    count(`kds ${kind}`);
    network.journal.line(
      network.agenda.nowMs,
      site.name,
      () => `hears ${kind} ${typeUrl} ${nonce} ${error ?? ""}`,
    );
  } else if (event.tag === "response_received") {
    const { typeUrl, nonce, resources, removed, systemVersion } = event.response;
    count(`kds ${typeUrl}`);
    network.journal.line(network.agenda.nowMs, site.name, () =>
      [
        `hears ${typeUrl} ${nonce} at ${systemVersion}:`,
        ...resources.map(({ name }) => name),
        ...removed.map((name) => `-${name}`),
      ].join(" ").slice(0, 400));
  }
}
