// Sockets with the frame guard between them and grpc-js: accepted ones, and dialled ones by a relay.

import { constants } from "node:http2";
import { createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { Patience, STALL_MS_MAX } from "./patience.ts";
import { type Breach, farewell, FrameGuard, GUARD_LIMITS, type GuardLimits } from "../guard.ts";

// grpc-js answers with it what is not gRPC; Deno 2.9.6 does not define it, and the answer would be 200.
Object.assign(constants, { HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE: 415 });

export interface GuardOptions {
  readonly limits?: GuardLimits;
  onBreach(breach: Breach): void;
  /** Default 60 s: after that a peer that reads nothing is not waited for, nor is its end. */
  readonly stallMsMax?: number;
  /** Milliseconds that only grow. */
  nowMs?(): number;
}

/**
 * A Duplex for `createConnectionInjector().injectConnection`: the accepted socket without the
 * peer's GOAWAY frames, closed on a breach, ended when the peer is leaving and its streams are done.
 */
export class GuardedSocket extends Duplex {
  readonly #socket: Socket;
  readonly #guard: FrameGuard;
  readonly #nowMs: () => number;
  readonly #onBreach: (breach: Breach) => void;
  readonly #patience: Patience;
  /** What grpc-js shows as the peer. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;

  constructor(socket: Socket, options: GuardOptions) {
    super();
    this.#socket = socket;
    this.#guard = new FrameGuard("server", options.limits ?? GUARD_LIMITS);
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#onBreach = options.onBreach;
    this.#patience = new Patience(options.stallMsMax ?? STALL_MS_MAX, () => socket.destroy());
    this.remoteAddress = socket.remoteAddress;
    this.remotePort = socket.remotePort;
    socket.on("data", (chunk: Uint8Array) => this.#received(chunk));
    socket.on("end", () => this.push(null));
    socket.on("error", (error: Error) => this.destroy(error));
    socket.on("close", () => {
      this.#patience.end();
      this.destroy();
    });
    // The session that owns this stream reports what matters; a reset peer is no news.
    this.on("error", () => {});
  }

  setNoDelay(on?: boolean): this {
    this.#socket.setNoDelay(on);
    return this;
  }

  setKeepAlive(on?: boolean, delayMs?: number): this {
    this.#socket.setKeepAlive(on, delayMs);
    return this;
  }

  setTimeout(): this {
    return this;
  }

  #received(chunk: Uint8Array): void {
    const { pass, breach } = this.#guard.received(chunk, this.#nowMs());
    let wantsMore = true;
    for (const bytes of pass) wantsMore = this.push(bytes);
    if (breach) this.#refuse(breach);
    else if (!wantsMore) this.#socket.pause();
    this.#endWhenDone();
  }

  #refuse(breach: Breach): void {
    this.#onBreach(breach);
    this.#socket.removeAllListeners("data");
    if (this.#guard.sentWhole) this.#socket.write(farewell(breach));
    this.#socket.destroySoon();
    this.destroy();
  }

  #endWhenDone(): void {
    if (!this.#guard.shouldEnd || this.destroyed) return;
    this.#socket.destroySoon();
    this.push(null);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    this.#guard.sent(chunk);
    const taken = this.#patience.begin();
    this.#socket.write(chunk, (error) => {
      taken();
      done(error);
      this.#endWhenDone();
    });
  }

  override _final(done: () => void): void {
    // Until it closes: a peer that does not read does not hear of the end, either.
    this.#patience.begin();
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#socket.writableEnded) this.#socket.destroy();
    done(error);
  }
}

export interface RelayOptions {
  /** Where to listen: a path in a folder that only this user may enter. */
  readonly socketPath: string;
  /** Dials the real peer, once for each connection of grpc-js. */
  connect(): Duplex;
  onBreach(breach: Breach): void;
  /** The dialled side failed: refused, reset, or a certificate that is not trusted. */
  onPeerError?(error: Error): void;
  readonly limits?: GuardLimits;
  nowMs?(): number;
}

export interface GuardedRelay {
  /** The target for a grpc-js channel with insecure credentials: `unix:PATH`. */
  readonly target: string;
  close(): Promise<void>;
}

/**
 * A relay on a Unix socket, since grpc-js lets nobody wrap the sockets that it dials. When the real
 * peer says GOAWAY, the connection ends after the open streams, or with the next one opened; the
 * channel then dials anew.
 */
export async function startGuardedRelay(options: RelayOptions): Promise<GuardedRelay> {
  const open = new Set<Socket>();
  const server = createServer((near) => {
    open.add(near);
    near.on("close", () => open.delete(near));
    relay(near, options);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socketPath, resolve);
  });
  return {
    target: `unix:${options.socketPath}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const near of open) near.destroy();
      }),
  };
}

function relay(near: Socket, options: RelayOptions): void {
  const guard = new FrameGuard("client", options.limits ?? GUARD_LIMITS);
  const nowMs = options.nowMs ?? (() => performance.now());
  const far = options.connect();
  const drop = () => {
    near.destroy();
    far.destroy();
  };
  const refuse = (breach: Breach) => {
    // A stream opened after GOAWAY is the ordinary end of a connection, not an attack.
    if (breach !== "stream_after_goaway") options.onBreach(breach);
    drop();
  };
  far.on("data", (chunk: Uint8Array) => {
    const { pass, breach } = guard.received(chunk, nowMs());
    let wantsMore = true;
    for (const bytes of pass) wantsMore = near.write(bytes);
    if (breach) return refuse(breach);
    if (guard.shouldEnd) return drop();
    if (!wantsMore) {
      far.pause();
      near.once("drain", () => far.resume());
    }
  });
  near.on("data", (chunk: Uint8Array) => {
    const breach = guard.sent(chunk);
    if (breach) return refuse(breach);
    if (!far.write(chunk)) {
      near.pause();
      far.once("drain", () => near.resume());
    }
    if (guard.shouldEnd) drop();
  });
  far.on("error", (error: Error) => {
    options.onPeerError?.(error);
    drop();
  });
  near.on("error", drop);
  far.on("end", () => near.end());
  near.on("end", () => far.end());
  far.on("close", drop);
  near.on("close", drop);
}
