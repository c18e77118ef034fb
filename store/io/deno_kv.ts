// The durable store: Deno KV (SQLite, one fsync per atomic write) behind an in-memory image.
//
//   ["head"]                         {format, revision, journal?}: the one key every write checks and sets
//   ["r", type, mesh, name, part]    a resource as JSON bytes, cut into parts
//   ["j", revision, part]            a batch too large for one atomic write, until it is in "r"
//
// A batch that fits goes to disk in one atomic write. A larger one is written as a journal first,
// which nothing refers to; then the head is flipped to name it, and that is the moment of the
// commit; then it is copied into place and collected. A crash in between is finished by the next open.

import { InvalidError, UnavailableError } from "../../core/errors.ts";
import { isObject } from "../../core/json.ts";
import { keyText, type Resource, type ResourceKey } from "../../core/resource.ts";
import { type Accepted, Batch, StoreImage } from "../image.ts";
import type { Change, CommitResult, Op, Store } from "../store.ts";

/** Deno KV takes values up to 65 536 bytes with its own envelope. */
const PART_BYTES = 60_000;
/** Deno KV takes 819 200 bytes and 1 000 mutations in one atomic write; the rest is for keys. */
const ATOMIC_BYTES_MAX = 700_000;
const ATOMIC_MUTATIONS_MAX = 900;
/** Deno KV takes keys up to 2 048 bytes; escaping may double them, and the part number needs some. */
const KEY_BYTES_MAX = 1_000;
/** Callers that wait for the disk. More than this means that it stands still. */
const WAITING_MAX = 10_000;
const RETRY_MS = 500;
const HEAD: Deno.KvKey = ["head"];
const FORMAT = 1;

interface Head {
  readonly format: number;
  readonly revision: number;
  /** Which opening of the store wrote this. */
  readonly writer: string;
  /** Number of journal parts of this revision that are not in place yet. */
  readonly journal?: number;
}

type Mutation = { readonly key: Deno.KvKey; readonly value: Uint8Array | null };

/** One key's new bytes; `oldParts` is how many parts it has on disk. */
interface Write {
  readonly key: ResourceKey;
  readonly bytes: Uint8Array | null;
  readonly oldParts: number;
}

/** Commits that are judged and encoded, ready for the disk. */
interface Prepared {
  readonly revision: number;
  readonly commits: readonly Accepted[];
  readonly writes: readonly Write[];
}

interface Waiting {
  readonly ops: readonly Op[];
  readonly nowMs: number;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The few calls of Deno.Kv that the store makes, so that a test can let the disk fail. */
export type KvPort = Pick<Deno.Kv, "get" | "list" | "atomic" | "close">;

export interface KvOptions {
  readonly changesMax?: number;
  /**
   * Told of each resource that cannot be read, which is then left out, and stays on disk until it
   * is written again. Without it, such a store is not opened.
   */
  readonly onDamaged?: (key: ResourceKey) => void;
}

/** Opens the file, or makes it. One process at a time: take `acquireDataDir` first. */
export async function openKvStore(
  path: string,
  options: KvOptions = {},
): Promise<Store> {
  await keepPrivate(path);
  return await openKv(await Deno.openKv(path), options);
}

/**
 * It holds the private keys of every mesh, in whatever folder it was told to lie. SQLite gives the
 * files that it makes beside this one the same mode.
 */
async function keepPrivate(path: string): Promise<void> {
  (await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();
  for (const file of [path, `${path}-wal`, `${path}-shm`]) {
    await Deno.chmod(file, 0o600).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

export async function openKv(
  kv: KvPort,
  options: KvOptions = {},
): Promise<Store> {
  const disk = new Disk(kv);
  const { image, parts } = await disk.load(options);
  return new KvStore(disk, image, parts);
}

class KvStore implements Store {
  readonly #disk: Disk;
  readonly #image: StoreImage;
  /** Parts on disk by key, for those that have more than one. */
  readonly #parts: Map<string, number>;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | null = null;
  #closed: Promise<void> | null = null;
  /** A batch whose write failed without telling whether it reached the disk. */
  #doubtful: Prepared | null = null;

  constructor(disk: Disk, image: StoreImage, parts: Map<string, number>) {
    this.#disk = disk;
    this.#image = image;
    this.#parts = parts;
  }

  get revision(): number {
    return this.#image.revision;
  }

  get(key: ResourceKey): Resource | undefined {
    return this.#image.get(key);
  }

  list(type: string, mesh?: string): readonly Resource[] {
    return this.#image.list(type, mesh);
  }

  changesSince(revision: number): readonly Change[] | "gone" {
    return this.#image.changesSince(revision);
  }

  commit(ops: readonly Op[], nowMs: number): Promise<CommitResult> {
    if (this.#closed) return Promise.reject(new UnavailableError("The store is closed", RETRY_MS));
    if (this.#waiting.length >= WAITING_MAX) {
      return Promise.reject(new UnavailableError("Too many writes wait for the disk", RETRY_MS));
    }
    const tooLong = ops.find((op) =>
      keyBytes(op.op === "put" ? op.resource : op.key) > KEY_BYTES_MAX
    );
    if (tooLong) {
      return Promise.reject(new InvalidError(`A resource key is over ${KEY_BYTES_MAX} bytes`));
    }
    const done = Promise.withResolvers<CommitResult>();
    this.#waiting.push({ ops, nowMs, resolve: done.resolve, reject: done.reject });
    this.#writing ??= this.#drain();
    return done.promise;
  }

  close(): Promise<void> {
    this.#closed ??= Promise.resolve(this.#writing).then(() => this.#disk.close());
    return this.#closed;
  }

  /** One write at a time; whatever arrives meanwhile shares the next one. */
  async #drain(): Promise<void> {
    // Callers of the same turn of the event loop get into the first batch.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#writeNext();
    this.#writing = null;
  }

  async #writeNext(): Promise<void> {
    let taken: readonly Waiting[] = this.#waiting;
    try {
      await this.#settleDoubt();
      const { prepared, results } = this.#gather();
      taken = this.#waiting.slice(0, results.length);
      if (prepared.writes.length > 0) await this.#write(prepared);
      this.#waiting = this.#waiting.slice(results.length);
      taken.forEach((it, i) => it.resolve(results[i]!));
    } catch (error) {
      this.#waiting = this.#waiting.slice(taken.length);
      for (const it of taken) it.reject(unavailable(error));
    }
  }

  /** Judges what waits, as many commits as one atomic write can hold, and at least one. */
  #gather(): { readonly prepared: Prepared; readonly results: readonly CommitResult[] } {
    const batch = new Batch(this.#image);
    const results: CommitResult[] = [];
    const writes = new Map<string, Write>();
    let size = { bytes: 0, mutations: 0 };
    for (const { ops, nowMs } of this.#waiting) {
      const judged = batch.judge(ops, nowMs);
      if (judged.ok) {
        const more = this.#writesOf(judged);
        const next = sizeOf(more, size);
        if (results.length > 0 && !fitsOneAtomic(next)) break;
        size = next;
        batch.add(judged);
        for (const write of more) writes.set(keyText(write.key), write);
      }
      results.push(judged);
    }
    const { revision, commits } = batch;
    return { prepared: { revision, commits, writes: [...writes.values()] }, results };
  }

  #writesOf(commit: Accepted): Write[] {
    return commit.changes.map(({ key, resource }) => ({
      key,
      bytes: resource && encode(resource),
      oldParts: this.#parts.get(keyText(key)) ?? 1,
    }));
  }

  async #write(prepared: Prepared): Promise<void> {
    try {
      await this.#disk.write(prepared.revision, prepared.writes);
    } catch (error) {
      this.#doubtful = prepared;
      // Asked at once, since a caller whose write is on disk must not hear that it is not.
      await this.#settleDoubt();
      if (this.#image.revision === prepared.revision) return;
      throw error;
    }
    this.#apply(prepared);
  }

  /** After a failed write: the disk says whether it holds the batch. */
  async #settleDoubt(): Promise<void> {
    const prepared = this.#doubtful;
    if (!prepared) return;
    const revision = await this.#disk.resume();
    this.#doubtful = null;
    if (revision === prepared.revision) this.#apply(prepared);
  }

  #apply({ commits, writes }: Prepared): void {
    for (const commit of commits) this.#image.apply(commit);
    for (const { key, bytes } of writes) {
      const count = bytes ? Math.ceil(bytes.length / PART_BYTES) : 0;
      if (count > 1) this.#parts.set(keyText(key), count);
      else this.#parts.delete(keyText(key));
    }
  }
}

/** Keys, bytes and atomic writes; knows nothing of revisions' meaning. */
class Disk {
  readonly #kv: KvPort;
  readonly #writer = crypto.randomUUID();
  #stamp: string | null = null;
  #head: Head = { format: FORMAT, revision: 0, writer: "" };

  constructor(kv: KvPort) {
    this.#kv = kv;
  }

  async load({ changesMax, onDamaged }: KvOptions) {
    await this.#readHead();
    await this.#tidy();
    const revision = this.#head.revision;
    const image = new StoreImage({ revision, ...(changesMax !== undefined && { changesMax }) });
    const parts = new Map<string, number>();
    for await (const { key, chunks, parts: count } of this.#resources()) {
      if (count > 1) parts.set(keyText(key), count);
      const resource = decode(key, chunks);
      if (resource) image.load(resource);
      else if (onDamaged) onDamaged(key);
      else throw new UnavailableError(`The store is damaged at ${keyText(key)}`, RETRY_MS);
    }
    return { image, parts };
  }

  /** After a write that failed: what the disk holds now, made whole. Answers its revision. */
  async resume(): Promise<number> {
    const stamp = this.#stamp;
    await this.#readHead();
    if (this.#stamp !== stamp && this.#head.writer !== this.#writer) {
      this.#stamp = stamp;
      throw new UnavailableError("Another process wrote to the store", RETRY_MS);
    }
    await this.#tidy();
    return this.#head.revision;
  }

  async write(revision: number, writes: readonly Write[]): Promise<void> {
    if (this.#head.journal !== undefined) await this.resume();
    if (fitsOneAtomic(sizeOf(writes))) {
      await this.#flip({ revision }, writes.flatMap(mutationsOf));
      return;
    }
    const journal = split(encodeJournal(writes));
    await this.#apply(journal.map((value, i) => ({ key: ["j", revision, i], value })));
    await this.#flip({ revision, journal: journal.length }, []);
    // The commit is durable from here on: a failure below is mended by the next write or open.
    await this.#finishJournal().catch(() => {});
  }

  close(): void {
    this.#kv.close();
  }

  async #readHead(): Promise<void> {
    const entry = await this.#kv.get<Uint8Array>(HEAD);
    this.#stamp = entry.versionstamp;
    if (!entry.value) return;
    this.#head = parse<Head>(entry.value);
    if (this.#head.format === FORMAT) return;
    throw new UnavailableError(
      `The store has format ${this.#head.format}; this Ursa reads format ${FORMAT}`,
      RETRY_MS,
    );
  }

  async #tidy(): Promise<void> {
    if (this.#head.journal !== undefined) await this.#finishJournal();
    else await this.#collectJournals();
  }

  async #finishJournal(): Promise<void> {
    const { revision, journal } = this.#head;
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < journal!; i++) {
      const entry = await this.#kv.get<Uint8Array>(["j", revision, i]);
      if (!entry.value) throw new UnavailableError(`Part ${i} of the journal is missing`, RETRY_MS);
      chunks.push(entry.value);
    }
    const writes = decodeJournal(join(chunks));
    await this.#apply(writes.flatMap(mutationsOf));
    await this.#flip({ revision }, []);
    await this.#collectJournals();
  }

  /** Parts that no head names: left over by a crash, or by a journal that is in place. */
  async #collectJournals(): Promise<void> {
    const left: Mutation[] = [];
    for await (const { key } of this.#kv.list({ prefix: ["j"] })) left.push({ key, value: null });
    await this.#apply(left);
  }

  /** Sets the head and these keys in one atomic write, unless somebody else has set the head. */
  async #flip(next: Pick<Head, "revision" | "journal">, mutations: readonly Mutation[]) {
    const head: Head = { format: FORMAT, writer: this.#writer, ...next };
    const atomic = mutate(this.#kv.atomic(), mutations)
      .check({ key: HEAD, versionstamp: this.#stamp })
      .set(HEAD, text(JSON.stringify(head)));
    const result = await atomic.commit();
    if (!result.ok) throw new UnavailableError("Another process wrote to the store", RETRY_MS);
    this.#stamp = result.versionstamp;
    this.#head = head;
  }

  /** In as many atomic writes as it takes; only for what may be done twice. */
  async #apply(mutations: readonly Mutation[]): Promise<void> {
    let group: Mutation[] = [];
    let bytes = 0;
    for (const mutation of mutations) {
      const more = mutationBytes(mutation);
      if (group.length === ATOMIC_MUTATIONS_MAX || bytes + more > ATOMIC_BYTES_MAX) {
        await mutate(this.#kv.atomic(), group).commit();
        group = [];
        bytes = 0;
      }
      group.push(mutation);
      bytes += more;
    }
    if (group.length > 0) await mutate(this.#kv.atomic(), group).commit();
  }

  async *#resources(): AsyncGenerator<Stored> {
    let found: Stored | null = null;
    for await (const entry of this.#kv.list<Uint8Array>({ prefix: ["r"] }, { batchSize: 500 })) {
      const [, type, mesh, name, part] = entry.key as [string, string, string, string, number];
      const key = { type, mesh, name };
      if (!found || keyText(found.key) !== keyText(key)) {
        if (found) yield found;
        found = { key, chunks: [], parts: 0 };
      }
      found.chunks.push(entry.value);
      found.parts = part + 1;
    }
    if (found) yield found;
  }
}

/** What is on disk of one resource; a part may be missing. */
interface Stored {
  readonly key: ResourceKey;
  readonly chunks: Uint8Array[];
  parts: number;
}

function mutationsOf({ key, bytes, oldParts }: Write): Mutation[] {
  const chunks = bytes ? split(bytes) : [];
  const count = Math.max(chunks.length, oldParts);
  return Array.from({ length: count }, (_, i) => ({
    key: ["r", key.type, key.mesh, key.name, i],
    value: chunks[i] ?? null,
  }));
}

function mutate(atomic: Deno.AtomicOperation, mutations: readonly Mutation[]) {
  for (const { key, value } of mutations) {
    if (value) atomic.set(key, value);
    else atomic.delete(key);
  }
  return atomic;
}

interface Size {
  readonly bytes: number;
  readonly mutations: number;
}

function sizeOf(writes: readonly Write[], base: Size = { bytes: 0, mutations: 0 }): Size {
  let { bytes, mutations } = base;
  for (const mutation of writes.flatMap(mutationsOf)) {
    bytes += mutationBytes(mutation);
    mutations++;
  }
  return { bytes, mutations };
}

function fitsOneAtomic(size: Size): boolean {
  return size.bytes <= ATOMIC_BYTES_MAX && size.mutations <= ATOMIC_MUTATIONS_MAX;
}

function mutationBytes({ key, value }: Mutation): number {
  return key.reduce<number>((sum, part) => sum + String(part).length * 3 + 16, 0) +
    (value?.length ?? 0);
}

function keyBytes({ type, mesh, name }: ResourceKey): number {
  return text(type + mesh + name).length;
}

/** What the key does not say already. */
function encode({ type: _type, mesh: _mesh, name: _name, ...rest }: Resource): Uint8Array {
  return text(JSON.stringify(rest));
}

/** Null when it is damaged. */
function decode(key: ResourceKey, chunks: readonly Uint8Array[]): Resource | null {
  try {
    const rest: unknown = parse(join(chunks));
    const isWhole = isObject(rest) && isObject(rest.labels) && isObject(rest.spec) &&
      typeof rest.version === "number";
    return isWhole ? { ...(rest as unknown as Resource), ...key } : null;
  } catch {
    return null;
  }
}

type JournalEntry = {
  readonly key: ResourceKey;
  readonly oldParts: number;
  readonly json?: string;
};

function encodeJournal(writes: readonly Write[]): Uint8Array {
  const entries: JournalEntry[] = writes.map(({ key, bytes, oldParts }) => ({
    key,
    oldParts,
    ...(bytes && { json: new TextDecoder().decode(bytes) }),
  }));
  return text(JSON.stringify(entries));
}

function decodeJournal(bytes: Uint8Array): Write[] {
  return parse<JournalEntry[]>(bytes).map(({ key, oldParts, json }) => ({
    key,
    oldParts,
    bytes: json === undefined ? null : text(json),
  }));
}

function split(bytes: Uint8Array): Uint8Array[] {
  const count = Math.ceil(bytes.length / PART_BYTES);
  return Array.from({ length: count }, (_, i) => bytes.slice(i * PART_BYTES, (i + 1) * PART_BYTES));
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function parse<T>(bytes: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(bytes));
}

function unavailable(error: unknown): UnavailableError {
  if (error instanceof UnavailableError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new UnavailableError(`Cannot write to the store: ${why}`, RETRY_MS);
}
