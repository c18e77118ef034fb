// Drives a kernel by the real clock, and lets edges ask actors.

import { UnavailableError } from "../../../core/errors.ts";
import type { Message, Path, ReplyTo } from "../actor.ts";
import { Kernel, type KernelOptions } from "../kernel.ts";

/** How long turns may run before sockets get their share: what is done is on its way meanwhile. */
const BUDGET_MS = 2;
/** Node's longest timer; a later one is simply looked at again. */
const LONGEST_TIMER_MS = 2_147_483_647;

export interface System {
  readonly kernel: Kernel;
  send(to: Path, msg: Message): boolean;
  /** Sends what `make` builds around a ReplyTo, and resolves with the answer; rejects with UnavailableError. */
  ask<T>(to: Path, make: (reply: ReplyTo) => Message, timeoutMs: number): Promise<T>;
  /** No turn runs after this. */
  stop(): void;
}

type Given = Omit<KernelOptions, "now" | "elapsed" | "wake" | "replied" | "stopwatch">;

export function startSystem(options: Given): System {
  const pending = new Map<string, (value: unknown) => void>();
  let asked = 0;
  let scheduled = false;
  let stopped = false;
  let sleeper: ReturnType<typeof setTimeout> | undefined;

  const kernel = new Kernel({
    ...options,
    now: () => Date.now(),
    elapsed: () => performance.now(),
    stopwatch: () => performance.now() * 1000,
    wake,
    replied: (ref, value) => pending.get(ref)?.(value),
  });

  function wake(): void {
    if (scheduled || stopped) return;
    scheduled = true;
    queueMicrotask(run);
  }

  function run(): void {
    scheduled = false;
    const until = performance.now() + BUDGET_MS;
    while (!stopped && kernel.step()) {
      if (performance.now() < until) continue;
      scheduled = true;
      setImmediate(run);
      return;
    }
    sleep();
  }

  function sleep(): void {
    clearTimeout(sleeper);
    const atMs = kernel.nextTimerAtMs;
    if (atMs === undefined || stopped) return;
    const afterMs = Math.min(Math.max(atMs - performance.now(), 0), LONGEST_TIMER_MS);
    sleeper = setTimeout(wake, afterMs);
  }

  kernel.start();
  return {
    kernel,
    send: (to, msg) => kernel.send(to, msg),
    ask<T>(to: Path, make: (reply: ReplyTo) => Message, timeoutMs: number): Promise<T> {
      const ref = String(++asked);
      return new Promise<T>((resolve, reject) => {
        const timeout = setTimeout(() => {
          pending.delete(ref);
          reject(new UnavailableError(`${to} did not answer within ${timeoutMs} ms`, 1_000));
        }, timeoutMs);
        pending.set(ref, (value) => {
          clearTimeout(timeout);
          pending.delete(ref);
          resolve(value as T);
        });
        if (!kernel.send(to, make({ path: "", tag: "", ref }))) {
          clearTimeout(timeout);
          pending.delete(ref);
          reject(new UnavailableError(`${to} takes no messages now`, 1_000));
        }
      });
    },
    stop() {
      stopped = true;
      clearTimeout(sleeper);
    },
  };
}
