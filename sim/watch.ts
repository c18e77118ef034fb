// Around every actor of a simulated tree: who got which message how often, and checks that look on.

import type { Message } from "../actors/runtime/actor.ts";
import type { AnyActor, Tree } from "../actors/runtime/tree.ts";

/** By the name of an actor or its group, then by tag. */
export type Turns = Map<string, Map<string, number>>;

export type Look = (path: string, msg: Message) => void;

export function watched(tree: Tree, turns: Turns, look: Look): Tree {
  return tree.map((node) => {
    const tags = turns.get(node.name) ?? new Map<string, number>();
    turns.set(node.name, tags);
    return { ...node, actor: watchedActor(node.actor, tags, look) };
  });
}

function watchedActor(actor: AnyActor, tags: Map<string, number>, look: Look): AnyActor {
  return {
    ...actor,
    receive(state, msg: Message, at) {
      tags.set(msg.tag, (tags.get(msg.tag) ?? 0) + 1);
      const turn = actor.receive(state, msg, at);
      look(at.self, msg);
      return turn;
    },
  };
}
