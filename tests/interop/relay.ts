// The address of global that zones know, as a load balancer would hold it: what answers can change.

import { connect, createServer, type Server, type Socket } from "node:net";

/** Passes TCP on to one of several servers; a switch ends what is open. */
export class Relay {
  readonly #port: number;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #target: URL;

  private constructor(server: Server, port: number, target: string) {
    this.#server = server;
    this.#target = addressOf(target);
    this.#port = port;
  }

  /** Its own, for zones. */
  get url(): string {
    return `grpcs://127.0.0.1:${this.#port}`;
  }

  /** `target`: any URL with a host and a port. */
  static async start(target: string): Promise<Relay> {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    const relay = new Relay(server, port, target);
    server.on("connection", (socket) => relay.#pass(socket));
    return relay;
  }

  switchTo(target: string): void {
    this.#target = addressOf(target);
    for (const socket of this.#open) socket.destroy();
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #pass(from: Socket): void {
    const to = connect({ host: this.#target.hostname, port: Number(this.#target.port) });
    for (const [one, other] of [[from, to], [to, from]] as const) {
      this.#open.add(one);
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        this.#open.delete(one);
        other.destroy();
      });
    }
  }
}

function addressOf(url: string): URL {
  return new URL(url.replace(/^\w+:/, "http:"));
}
