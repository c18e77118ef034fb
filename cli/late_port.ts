// A port whose edge opens after the actors have begun: commands wait for it, in order.

import type { Port } from "../actors/runtime/kernel.ts";

export interface LatePort {
  readonly port: Port;
  /** From now on commands go there; those that waited go first. */
  open(edge: Port): void;
}

export function latePort(): LatePort {
  const waiting: Parameters<Port>[] = [];
  let opened: Port | undefined;
  return {
    port: (...call) => {
      if (opened) opened(...call);
      else waiting.push(call);
    },
    open(edge) {
      opened = edge;
      for (const call of waiting.splice(0)) edge(...call);
    },
  };
}
