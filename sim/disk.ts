// A store of a simulated process: what is durable, and a disk that is slow, fails, doubts and forgets.

import type { Port } from "../actors/runtime/kernel.ts";
import type { Resource } from "../core/resource.ts";
import { Batch, StoreImage } from "../store/image.ts";
import type { CommitResult, Op } from "../store/store.ts";
import type { Agenda } from "./agenda.ts";
import type { Dice } from "./dice.ts";
import type { Luck } from "./unlucky.ts";

export interface Copy {
  readonly revision: number;
  readonly resources: readonly Resource[];
}

interface Commit {
  readonly ops: readonly Op[];
  readonly nowMs: number;
  readonly answer: Parameters<Port>[2];
}

export interface DiskEvents {
  /** It is durable from now on. */
  committed(result: CommitResult & { readonly ok: true }): void;
}

/** Of what is only bad luck. */
const SLOWEST_MS = 2_000;

export class Disk {
  image: StoreImage;
  latencyMs = { least: 0.3, most: 3 };
  /** The next commits fail, this many of them. */
  failing = 0;
  /** The next commits reach the disk, which fails to say so until it is asked again. */
  doubtful = 0;
  /** Nothing is answered before then. */
  stalledUntilMs = 0;
  /** It can never hold what has this text in it. */
  refused = "";
  commits = 0;
  /** When something was last wrong with it. */
  troubledAtMs = -Infinity;
  /** A deliberate bug: what was committed last is lost at a crash. */
  forgetful = false;
  /** Somebody put another history in its place. */
  replaced = false;
  readonly #agenda: Agenda;
  readonly #dice: Dice;
  readonly #luck: Luck;
  readonly #types: readonly string[];
  readonly #events: DiskEvents;
  #queue: Commit[] = [];
  #before: Copy = { revision: 0, resources: [] };
  #doubt: Commit | null = null;
  /** Of the process that writes: what an earlier one had under way answers nobody. */
  #session = 0;

  constructor(
    { agenda, dice, luck, types, events }: {
      readonly agenda: Agenda;
      readonly dice: Dice;
      readonly luck: Luck;
      readonly types: readonly string[];
      readonly events: DiskEvents;
    },
  ) {
    this.#agenda = agenda;
    this.#dice = dice;
    this.#luck = luck;
    this.#types = types;
    this.#events = events;
    this.image = new StoreImage();
  }

  /** The kernel's port to it, for one life of a process. `clock` is that process's own. */
  port(clock: () => number): Port {
    const session = ++this.#session;
    return (command, _from, answer) => {
      const { ops } = command as { readonly ops: readonly Op[] };
      if (session !== this.#session) return;
      this.#queue.push({ ops, nowMs: clock(), answer });
      if (this.#queue.length === 1) this.#work(session);
    };
  }

  /** The process ends: what it was told is durable stays; of the rest, chance decides. */
  crash(): void {
    this.#session++;
    for (const commit of [...(this.#doubt ? [this.#doubt] : []), ...this.#queue.slice(0, 1)]) {
      if (this.#dice.chance(0.5)) this.#apply(commit);
    }
    this.#queue = [];
    this.#doubt = null;
    this.load(this.forgetful ? this.#before : this.copy());
  }

  copy(): Copy {
    const { image } = this;
    return {
      revision: image.revision,
      resources: this.#types.flatMap((type) => image.list(type)),
    };
  }

  /** What the next process finds. */
  load({ revision, resources }: Copy): void {
    this.image = new StoreImage({ revision });
    for (const resource of resources) this.image.load(resource);
  }

  #work(session: number): void {
    const { least, most } = this.latencyMs;
    const slow = this.#luck.strikes("a commit takes a hundred times as long") ? 100 : 1;
    if (slow > 1 || least > 10 || this.stalledUntilMs > this.#agenda.nowMs) {
      this.troubledAtMs = Math.max(this.#agenda.nowMs, this.stalledUntilMs);
    }
    const takesMs = Math.min(this.#dice.between(least, most) * slow, Math.max(least, SLOWEST_MS));
    const readyMs = this.#agenda.nowMs + takesMs;
    this.#agenda.at(Math.max(readyMs, this.stalledUntilMs), () => {
      if (session !== this.#session) return;
      if (this.stalledUntilMs > this.#agenda.nowMs) return this.#work(session);
      const commit = this.#queue.shift()!;
      this.#finish(commit, session);
      if (this.#queue.length > 0) this.#work(session);
    });
  }

  #finish(commit: Commit, session: number): void {
    const say = (result: Parameters<Commit["answer"]>[0]) =>
      // Durable, and visible to readers, before whoever asked hears of it.
      this.#agenda.after(this.#dice.random() * 0.2, () => {
        if (session === this.#session) commit.answer(result);
      });
    this.commits++;
    if (this.failing > 0 || this.doubtful > 0) this.troubledAtMs = this.#agenda.nowMs;
    if (this.#luck.strikes("a commit fails though the disk is whole")) this.failing++;
    if (this.refused !== "" && JSON.stringify(commit.ops).includes(this.refused)) {
      return say({ ok: false, error: "of a kind that it cannot hold", retryable: false });
    }
    if (this.failing > 0) {
      this.failing--;
      return say({ ok: false, error: "disk full", retryable: true });
    }
    if (this.#doubt) this.#apply(this.#doubt);
    this.#doubt = null;
    if (this.doubtful > 0) {
      this.doubtful--;
      this.#doubt = commit;
      return say({ ok: false, error: "no answer", retryable: true });
    }
    say({ ok: true, value: this.#apply(commit) });
  }

  #apply({ ops, nowMs }: Commit): CommitResult {
    const judged = new Batch(this.image).judge(ops, nowMs);
    if (judged.ok) {
      if (this.forgetful) this.#before = this.copy();
      this.image.apply(judged);
      if (judged.changes.length > 0) this.#events.committed(judged);
    }
    return judged;
  }
}
