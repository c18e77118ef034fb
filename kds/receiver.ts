// The receiving side of one stream: from a response to writes, and from their results to ACK or NACK.
//
//   response ─▶ plan ─┬─ nothing to write ──────────────▶ ACK / NACK
//                     └─ one transaction ─┬─ durable ───▶ ACK / NACK
//                                         ├─ invalid ───▶ each write alone; the bad ones are named
//                                         └─ conflict, store away ──▶ planned again a little later

import { sameJson } from "../core/json.ts";
import { DISPLAY_NAME_LABEL, ORIGIN_LABEL, ZONE_LABEL } from "../core/names.ts";
import type { Draft, Resource, ResourceDescriptor } from "../core/resource.ts";
import { TRAVEL } from "../core/travel.ts";
import { renderViolations, type Violation } from "../core/violation.ts";
import type { Change, Op } from "../store/store.ts";
import { type Ahead, isBehind, NOT_AHEAD } from "./ahead.ts";
import { decodeResource } from "./codec.ts";
import { pinToZone, zoneOf } from "./filter.ts";
import { digestOf, type Standing, type Standings } from "./digest.ts";
import { hold as holdTaken, type Holdings, holdingsOf, noHoldings } from "./holdings.ts";
import { applyChanges, type Image } from "./image.ts";
import { isNameBetweenPeers } from "./objection.ts";
import { globalYields, zoneYields } from "./predicate.ts";
import { isBetweenZones } from "./stamp.ts";
import {
  enterVerdicts,
  passingItems,
  passingTypes,
  type Quarantine,
  type Refused,
} from "./quarantine.ts";
import {
  type KdsItem,
  type KdsRequest,
  type KdsResponse,
  MORE,
  parseWireName,
  wireName,
} from "./wire.ts";

/** How one side takes what the other sends. */
export interface Rules {
  readonly descriptors: ReadonlyMap<string, ResourceDescriptor>;
  /** The sender's name for a resource, as the receiver keeps it. */
  localName(name: string): string;
  /** Why the sender may not say this at all; null when it may. */
  refuse(draft: Draft): string | null;
  /**
   * With the labels and fields that the receiver does not take the sender's word for. `there`: what
   * it holds under that name.
   */
  admit(draft: Draft, there: Resource | undefined): Draft;
  /** Whether the sender may overwrite or delete what is there. */
  yields(resource: Resource, descriptor: ResourceDescriptor): boolean;
  /**
   * Whether the sender only passes it on, so that it may not know it yet: it started a moment ago,
   * and the zone whose it is has not come back.
   */
  passedOn(resource: Resource, descriptor: ResourceDescriptor): boolean;
  /** Whether something newer is known from elsewhere: then it waits until `settle`. */
  isBehind(draft: Draft, there: Resource | undefined): boolean;
}

/** `ahead`: asked each time, what the zone knows better than global. */
export function zoneRules(
  descriptors: readonly ResourceDescriptor[],
  ahead: () => Ahead = () => NOT_AHEAD,
): Rules {
  return {
    descriptors: byName(descriptors),
    localName: (name) => name,
    refuse: () => null,
    // What a copy's status is, is found out in each zone.
    admit: ({ status: _status, ...draft }, there) => ({
      ...draft,
      labels: { ...draft.labels, [ORIGIN_LABEL]: "global" },
      ...(there?.status && { status: there.status }),
    }),
    yields: zoneYields,
    passedOn: (resource, { kds }) =>
      TRAVEL[kds].across !== "never" && zoneOf(resource) !== undefined,
    isBehind: (draft, there) =>
      isBetweenZones({ name: draft.type }) && isBehind(draft, there, ahead()),
  };
}

/** `prefixNames`: the peer is older than hashed names, so its names are told apart by a prefix. */
export function globalRules(
  descriptors: readonly ResourceDescriptor[],
  { zone, prefixNames }: { readonly zone: string; readonly prefixNames: boolean },
): Rules {
  const localName = (name: string) => prefixNames ? `${zone}.${name}` : name;
  return {
    descriptors: byName(descriptors),
    localName,
    refuse: () => null,
    admit: (draft) => ({
      ...draft,
      name: localName(draft.name),
      labels: {
        ...(prefixNames && { [DISPLAY_NAME_LABEL]: draft.name }),
        ...draft.labels,
        [ORIGIN_LABEL]: "zone",
        [ZONE_LABEL]: zone,
      },
      spec: pinToZone(draft.type, draft.spec, zone).spec,
    }),
    yields: (resource, descriptor) => globalYields(resource, { descriptor, zone }),
    passedOn: () => false,
    isBehind: () => false,
  };
}

function byName(descriptors: readonly ResourceDescriptor[]) {
  return new Map(descriptors.map((descriptor) => [descriptor.name, descriptor]));
}

/** What became of a write; the hub's WriteResult fits. */
export type Written =
  | { readonly ok: true; readonly changes: readonly Change[] }
  | { readonly ok: false; readonly reason: "invalid"; readonly violations: readonly Violation[] }
  | { readonly ok: false; readonly reason: "conflict" | "unavailable" };

export interface Receiver {
  readonly rules: Rules;
  /** Says apart the writes of one stream from those of the stream before. */
  readonly id: string;
  readonly nodeId: string;
  /** Types whose first response is done: from then on, only what is named has changed. */
  readonly complete: Set<string>;
  /** Types whose first state comes in parts: the names that the parts so far have. */
  readonly parts: Map<string, ReadonlySet<string>>;
  readonly intakes: Map<string, Intake>;
  /** What first responses left out and the sender may not know yet: wire names by type. */
  readonly spared: Map<string, ReadonlySet<string>>;
  /** What is behind what is known from elsewhere: by type and wire name as one text. */
  readonly putOff: Map<string, { readonly typeUrl: string; readonly item: KdsItem }>;
  readonly holdings: Holdings;
  /** Outlives the session. */
  readonly quarantine: Quarantine;
  /** Attempts at what is in quarantine since something came into it. */
  attempts: number;
  attemptDue: boolean;
  writes: number;
}

interface Arrived {
  readonly response: KdsResponse;
  readonly hold: string | null;
}

/** One response under way. There is one per type: the sender waits for its ACK. */
interface Intake {
  readonly response: KdsResponse;
  /** Not a response of the sender: another attempt at what was in quarantine. */
  readonly attempt: boolean;
  /** What came during an attempt: nothing is compared while a write is under way. */
  next: Arrived | null;
  readonly hold: string | null;
  /** What is wrong with the response as a whole. */
  readonly rejected: string[];
  readonly refused: Map<string, Refused>;
  /** Its resources by the names that they have here. */
  readonly items: Map<string, KdsItem>;
  /** What it, and the parts before it, name; filled when it is planned. */
  named: ReadonlySet<string>;
  /** Writes without an answer. */
  readonly open: Map<string, readonly Op[]>;
  /** A write met something newer, or no store: all is compared again. */
  stale: boolean;
}

export function openReceiver(
  id: string,
  { rules, nodeId, quarantine = new Map() }: {
    readonly rules: Rules;
    readonly nodeId: string;
    readonly quarantine?: Quarantine;
  },
): Receiver {
  return {
    rules,
    nodeId,
    quarantine,
    holdings: noHoldings(),
    attempts: 0,
    attemptDue: false,
    id,
    complete: new Set(),
    parts: new Map(),
    intakes: new Map(),
    spared: new Map(),
    putOff: new Map(),
    writes: 0,
  };
}

export interface Write {
  readonly ref: string;
  readonly ops: readonly Op[];
}

export interface Intaken {
  readonly writes: readonly Write[];
  /** ACK or NACK. */
  readonly answer: KdsRequest | null;
  /** A type to take again after a pause: the store was away, or was ahead of us. */
  readonly again: string | null;
  readonly typeUrl: string;
  /** What is news about this response, for the log. Empty while it is under way. */
  readonly rejected: readonly string[];
  /** Names that were in quarantine, and are not any more. */
  readonly out: readonly string[];
  /** When to try again what is in quarantine; null: nothing new about that. */
  readonly attemptAfterMs: number | null;
}

const UNDER_WAY: Intaken = {
  writes: [],
  answer: null,
  again: null,
  typeUrl: "",
  rejected: [],
  out: [],
  attemptAfterMs: null,
};
const ATTEMPT_FIRST_MS = 1_000;
const ATTEMPT_MAX_MS = 60_000;

/** `hold`: why nothing that exists may be changed or deleted now; null when it may. */
export function takeResponse(
  receiver: Receiver,
  response: KdsResponse,
  { image, hold }: { readonly image: Image; readonly hold: string | null },
): Intaken {
  const underWay = receiver.intakes.get(response.typeUrl);
  if (underWay?.attempt) {
    underWay.next = { response, hold };
    return UNDER_WAY;
  }
  return begin(receiver, { response, attempt: false, hold, image });
}

/** Tries again what is in quarantine of these types, or of all. */
export function takeRefused(
  receiver: Receiver,
  image: Image,
  types: readonly string[] = passingTypes(receiver.quarantine),
): readonly Intaken[] {
  return types.filter((typeUrl) => !receiver.intakes.has(typeUrl)).flatMap((typeUrl) => {
    const resources = passingItems(receiver.quarantine, typeUrl);
    if (resources.length === 0) return [];
    const response = {
      typeUrl,
      resources,
      nonce: "",
      systemVersion: "",
      controlPlane: "",
      removed: [],
    };
    return [begin(receiver, { response, attempt: true, hold: null, image })];
  });
}

/** The time has come; when the next attempt is due, if anything is left to try. */
export function attemptNow(receiver: Receiver): number | null {
  receiver.attemptDue = false;
  receiver.attempts++;
  return nextAttempt(receiver);
}

function nextAttempt(receiver: Receiver): number | null {
  if (receiver.attemptDue || passingTypes(receiver.quarantine).length === 0) return null;
  receiver.attemptDue = true;
  return Math.min(ATTEMPT_MAX_MS, ATTEMPT_FIRST_MS * 2 ** receiver.attempts);
}

function begin(
  receiver: Receiver,
  { response, attempt, hold, image }: Arrived & {
    readonly attempt: boolean;
    readonly image: Image;
  },
): Intaken {
  const intake: Intake = {
    response,
    attempt,
    next: null,
    hold,
    rejected: [],
    refused: new Map(),
    items: new Map(),
    named: new Set(),
    open: new Map(),
    stale: false,
  };
  receiver.intakes.set(response.typeUrl, intake);
  return plan(receiver, intake, image);
}

/** Plans what could not be written before; `image` is newer now. */
export function takeAgain(receiver: Receiver, typeUrl: string, image: Image): Intaken {
  const intake = receiver.intakes.get(typeUrl);
  if (!intake || intake.open.size > 0) return UNDER_WAY;
  intake.rejected.length = 0;
  intake.refused.clear();
  intake.stale = false;
  return plan(receiver, intake, image);
}

export function onWritten(
  receiver: Receiver,
  ref: string,
  { result, image }: { readonly result: Written; readonly image: Image },
): Intaken {
  if (result.ok) applyChanges(image, result.changes);
  const intake = [...receiver.intakes.values()].find(({ open }) => open.has(ref));
  if (!intake) return UNDER_WAY;
  const ops = intake.open.get(ref)!;
  intake.open.delete(ref);
  if (!result.ok && result.reason === "invalid") {
    if (ops.length > 1) return write(receiver, intake, ops.map((op) => [op]));
    for (const op of ops) refuse(intake, nameOf(op), renderInline(result.violations), true);
  } else if (!result.ok) {
    intake.stale = true;
  }
  if (intake.open.size > 0) return UNDER_WAY;
  return intake.stale
    ? { ...UNDER_WAY, again: intake.response.typeUrl }
    : finish(receiver, intake, image);
}

/**
 * Deletes what the sender has not mentioned since its first responses; to be asked again until
 * nothing is left, since a store may be away.
 */
export function settle(
  receiver: Receiver,
  image: Image,
): readonly (Write & { readonly resource: Resource })[] {
  return [...receiver.spared].flatMap(([typeUrl, names]) => {
    const descriptor = receiver.rules.descriptors.get(typeUrl)!;
    const gone = [...names].flatMap((name) => image.get(typeUrl)?.get(name) ?? []);
    if (gone.length === 0) receiver.spared.delete(typeUrl);
    return gone.map((resource) => ({
      ref: nextRef(receiver),
      ops: [remove(resource, descriptor)],
      resource,
    }));
  });
}

/** What was put off, now that everybody who knows better has had time to say so; asked as `settle`. */
export function catchUp(receiver: Receiver, image: Image): readonly Write[] {
  const { rules, putOff } = receiver;
  const ops = [...putOff].flatMap(([id, { typeUrl, item }]): readonly Op[] => {
    const descriptor = rules.descriptors.get(typeUrl)!;
    const decoded = decodeResource(item, descriptor);
    const there = decoded.ok && image.get(typeUrl)?.get(wireName(decoded.draft)) || undefined;
    const draft = decoded.ok ? rules.admit(decoded.draft, there) : null;
    if (draft && !(there && isSame(there, draft))) return [put(draft, descriptor, there)];
    putOff.delete(id);
    return [];
  });
  return ops.length === 0 ? [] : [{ ref: nextRef(receiver), ops }];
}

/** The response that a write belongs to, while it is under way. */
export function responseOf(receiver: Receiver, ref: string): KdsResponse | undefined {
  return [...receiver.intakes.values()].find(({ open }) => open.has(ref))?.response;
}

function plan(receiver: Receiver, intake: Intake, image: Image): Intaken {
  const { response, rejected } = intake;
  const descriptor = receiver.rules.descriptors.get(response.typeUrl);
  if (!descriptor) {
    rejected.push(`type "${response.typeUrl}" was not asked for`);
    return finish(receiver, intake, image);
  }
  const shelf = image.get(response.typeUrl) ?? new Map<string, Resource>();
  const first = !intake.attempt && !receiver.complete.has(response.typeUrl);
  const ops = planOps({ receiver, intake, descriptor, shelf, first });
  return ops.length === 0 ? finish(receiver, intake, image) : write(receiver, intake, [ops]);
}

/** Pure comparison of what came with what is there; rejections are noted in the intake. */
function planOps({ receiver, intake, descriptor, shelf, first }: {
  readonly receiver: Receiver;
  readonly intake: Intake;
  readonly descriptor: ResourceDescriptor;
  readonly shelf: ReadonlyMap<string, Resource>;
  readonly first: boolean;
}): readonly Op[] {
  const { rules } = receiver;
  const { response, rejected, hold } = intake;
  const named = new Set(receiver.parts.get(response.typeUrl));
  const removed = response.removed.map((name) => localWireName(rules, name));
  for (const name of removed) {
    named.delete(name);
    receiver.putOff.delete(`${descriptor.name} ${name}`);
  }
  intake.named = named;
  const puts: Op[] = [];
  let held = 0;
  for (const item of response.resources) {
    const decoded = decodeResource(item, descriptor);
    const name = localWireName(rules, decoded.ok ? wireName(decoded.draft) : decoded.name);
    named.add(name);
    intake.items.set(name, item);
    if (!decoded.ok) {
      refuse(intake, name, decoded.reason, false);
      continue;
    }
    const there = shelf.get(name);
    const draft = rules.admit(decoded.draft, there);
    const refusal = rules.refuse(decoded.draft) ?? refusalOf(draft, descriptor);
    receiver.putOff.delete(`${descriptor.name} ${name}`);
    if (refusal !== null) refuse(intake, name, refusal, false);
    else if (there && !rules.yields(there, descriptor)) {
      refuse(intake, name, "exists already, and is not the sender's to change", true);
    } else if (there && isSame(there, draft)) continue;
    else if (rules.isBehind(draft, there)) {
      receiver.putOff.set(`${descriptor.name} ${name}`, { typeUrl: response.typeUrl, item });
    } else if (there && hold !== null) held++;
    else puts.push(put(draft, descriptor, there));
  }
  const whole = first && !hasMore(response);
  const gone = (whole ? [...shelf.keys()] : removed).filter((name) => !named.has(name))
    .flatMap((name) => shelf.get(name) ?? [])
    .filter((resource) => rules.yields(resource, descriptor));
  const spared = whole ? gone.filter((resource) => rules.passedOn(resource, descriptor)) : [];
  spare(receiver, descriptor.name, { named, spared });
  const deletable = gone.filter((resource) => !spared.includes(resource));
  if (hold !== null) held += deletable.length;
  if (held > 0) rejected.push(`${held} changes are held back: ${hold}`);
  const deletes = hold === null ? deletable.map((resource) => remove(resource, descriptor)) : [];
  return [...puts, ...deletes];
}

function refuse(
  { items, refused, rejected }: Intake,
  name: string,
  reason: string,
  passing: boolean,
) {
  const item = items.get(name);
  if (item) refused.set(name, { item, reason, passing });
  else rejected.push(`${name}: ${reason}`);
}

/** Notes what is not deleted yet; what was named since is no longer in question. */
function spare(
  { spared: all }: Receiver,
  typeUrl: string,
  { named, spared }: {
    readonly named: ReadonlySet<string>;
    readonly spared: readonly Resource[];
  },
): void {
  const before = [...all.get(typeUrl) ?? []].filter((name) => !named.has(name));
  const names = new Set([...before, ...spared.map((resource) => wireName(resource))]);
  if (names.size > 0) all.set(typeUrl, names);
  else all.delete(typeUrl);
}

function hasMore({ systemVersion }: KdsResponse): boolean {
  return systemVersion.endsWith(MORE);
}

function localWireName(rules: Rules, text: string): string {
  const { mesh, name } = parseWireName(text);
  return wireName({ mesh, name: rules.localName(name) });
}

/**
 * What the spec says is not judged: the sender accepted it, may know more than we do, and passes it
 * to others too. Whether it can have an effect is for those who read it (core/usable.ts).
 */
function refusalOf(draft: Draft, descriptor: ResourceDescriptor): string | null {
  if (!isNameBetweenPeers(draft.name)) return "has an illegal name";
  if ((draft.mesh === "") !== (descriptor.scope === "Global")) {
    return descriptor.scope === "Global" ? "has a mesh, but is global" : "has no mesh";
  }
  return draft.mesh === "" || isNameBetweenPeers(draft.mesh) ? null : "has an illegal mesh name";
}

/**
 * A copy is the sender's alone, whatever its version. Of kinds that both sides write the receiver's
 * users may hold theirs under the same names, so these are compared with what we believe is there.
 */
function put(resource: Draft, descriptor: ResourceDescriptor, there: Resource | undefined): Op {
  return bothWrite(descriptor)
    ? { op: "put", resource, expected: there?.version ?? 0 }
    : { op: "put", resource };
}

function remove({ type, mesh, name, version }: Resource, descriptor: ResourceDescriptor): Op {
  const key = { type, mesh, name };
  return bothWrite(descriptor) ? { op: "delete", key, expected: version } : { op: "delete", key };
}

function bothWrite({ kds }: ResourceDescriptor): boolean {
  return TRAVEL[kds].byGlobal && TRAVEL[kds].byZone;
}

function write(
  receiver: Receiver,
  intake: Intake,
  batches: readonly (readonly Op[])[],
): Intaken {
  const writes = batches.map((ops): Write => {
    const ref = nextRef(receiver);
    intake.open.set(ref, ops);
    return { ref, ops };
  });
  return { ...UNDER_WAY, writes };
}

function nextRef(receiver: Receiver): string {
  receiver.writes++;
  return `${receiver.id}#${receiver.writes}`;
}

function finish(receiver: Receiver, intake: Intake, image: Image): Intaken {
  const { response: { typeUrl, nonce }, attempt, next, rejected, refused } = intake;
  receiver.intakes.delete(typeUrl);
  noteTaken(receiver, intake, image);
  const news = settleQuarantine(receiver, intake);
  const attemptAfterMs = nextAttempt(receiver);
  if (attempt) {
    const after = next ? begin(receiver, { ...next, attempt: false, image }) : UNDER_WAY;
    return {
      ...after,
      typeUrl,
      rejected: [...news.rejected, ...after.rejected],
      out: [...news.out, ...after.out],
      attemptAfterMs: attemptAfterMs ?? after.attemptAfterMs,
    };
  }
  receiver.parts.delete(typeUrl);
  if (hasMore(intake.response)) receiver.parts.set(typeUrl, intake.named);
  else receiver.complete.add(typeUrl);
  const reasons = [...rejected, ...[...refused].map(([name, { reason }]) => `${name}: ${reason}`)];
  return {
    ...UNDER_WAY,
    ...news,
    typeUrl,
    attemptAfterMs,
    answer: {
      typeUrl,
      nonce,
      nodeId: receiver.nodeId,
      subscribe: reasons.length > 0 ? ["*"] : [],
      initialVersions: {},
      ...(reasons.length > 0 && { error: reasons.join("; ") }),
    },
  };
}

function isWhole({ complete }: Receiver, { response, attempt }: Intake): boolean {
  return !attempt && !complete.has(response.typeUrl) && !hasMore(response);
}

function noteTaken(receiver: Receiver, intake: Intake, image: Image): void {
  const { response: { typeUrl, nonce, removed }, attempt, hold, refused, items, named } = intake;
  const { holdings, rules, putOff } = receiver;
  const isTaken = (name: string) =>
    hold === null && !refused.has(name) && !putOff.has(`${typeUrl} ${name}`);
  const entries = [...items].filter(([name]) => isTaken(name));
  holdTaken(holdings, typeUrl, {
    took: new Map(entries.map(([name, { version }]) => [name, version])),
    left: [...items.keys(), ...removed.map((name) => localWireName(rules, name))],
    shelf: image.get(typeUrl) ?? new Map(),
    whole: isWhole(receiver, intake) ? named : null,
  });
  if (!attempt) holdings.nonces.set(typeUrl, nonce);
}

/** Names to versions of what is there of a type; null: that is about to change. */
export function heldVersions(
  receiver: Receiver,
  typeUrl: string,
  image: Image,
): ReadonlyMap<string, string> | null {
  const { rules, holdings, quarantine, putOff, spared, intakes, complete } = receiver;
  const descriptor = rules.descriptors.get(typeUrl);
  if (!descriptor || intakes.has(typeUrl) || !complete.has(typeUrl)) return null;
  return holdingsOf(holdings, typeUrl, {
    shelf: image.get(typeUrl) ?? new Map(),
    concerns: (resource) => rules.yields(resource, descriptor),
    ignores: (name) =>
      !!quarantine.get(typeUrl)?.has(name) || putOff.has(`${typeUrl} ${name}`) ||
      !!spared.get(typeUrl)?.has(name),
  });
}

/** Of every type that came whole. */
export function receiverStandings(receiver: Receiver, image: Image): Standings {
  return Object.fromEntries(
    [...receiver.complete].flatMap((typeUrl): [string, Standing][] => {
      const versions = heldVersions(receiver, typeUrl, image);
      const nonce = receiver.holdings.nonces.get(typeUrl) ?? "";
      return versions ? [[typeUrl, { nonce, digest: digestOf(versions) }]] : [];
    }),
  );
}

function settleQuarantine(
  receiver: Receiver,
  intake: Intake,
): Pick<Intaken, "rejected" | "out"> {
  const { response, rejected, refused, items, named } = intake;
  const { typeUrl } = response;
  const removed = response.removed.map((name) => localWireName(receiver.rules, name));
  const news = enterVerdicts(receiver.quarantine, typeUrl, {
    about: [...items.keys(), ...removed],
    refused,
    whole: isWhole(receiver, intake) ? named : null,
  });
  if (news.refused.length > 0) receiver.attempts = 0;
  return { rejected: [...rejected, ...news.refused], out: news.out };
}

/** The first request of a type, or that it be compared. */
export function subscription(
  typeUrl: string,
  { nodeId, metadata, held }: {
    readonly nodeId: string;
    readonly metadata?: KdsRequest["metadata"];
    /** What is there, when the type was subscribed before. */
    readonly held?: ReadonlyMap<string, string>;
  },
): KdsRequest {
  return {
    typeUrl,
    nonce: "",
    nodeId,
    ...(metadata !== undefined && { metadata }),
    subscribe: ["*"],
    initialVersions: Object.fromEntries(held ?? []),
  };
}

function isSame(there: Resource, draft: Draft): boolean {
  return sameJson(there.labels, draft.labels) && sameJson(there.spec, draft.spec) &&
    sameJson(there.status, draft.status);
}

function nameOf(op: Op): string {
  return wireName(op.op === "put" ? op.resource : op.key);
}

function renderInline(violations: readonly Violation[]): string {
  return renderViolations(violations).replaceAll("\n", ";").trim().replaceAll(/ {2,}/g, " ");
}
