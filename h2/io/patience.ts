// How long a peer may take nothing of what it is sent: what it does not read waits here.

/** Of Kuma's control planes, where nothing uses it: kuma@v2.13.10:pkg/config/multizone (MsgSendTimeout) */
export const STALL_MS_MAX = 60_000;

/** For the writes of one stream or socket. One timer for many: it looks, and looks again. */
export class Patience {
  readonly #msMax: number;
  readonly #lost: () => void;
  #waiting = 0;
  /** When something was taken last, or began to wait. */
  #movedAtMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `lost` is called once, when nothing was taken for so long. */
  constructor(msMax: number, lost: () => void) {
    this.#msMax = msMax;
    this.#lost = lost;
  }

  /** A write begins; what is returned is to be called when it is taken. */
  begin(): () => void {
    if (this.#waiting++ === 0) this.#movedAtMs = performance.now();
    this.#timer ??= setTimeout(() => this.#look(), this.#msMax);
    return () => {
      this.#waiting--;
      this.#movedAtMs = performance.now();
    };
  }

  /** There is nobody to wait for any more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#waiting === 0) return;
    const leftMs = this.#movedAtMs + this.#msMax - performance.now();
    if (leftMs > 0) this.#timer = setTimeout(() => this.#look(), leftMs);
    else this.#lost();
  }
}
