import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { KINDS } from "../../core/kinds.ts";
import type { Resource } from "../../core/resource.ts";
import { publicKeyPem } from "../../core/rsa_key.ts";
import type { ClaimsOf } from "../../core/token.ts";
import { newSigningKey } from "../../identity/io/signing_key.ts";
import { issueToken } from "../../identity/tokens/issue.ts";
import type { ServerCommand, StreamKind, ZoneReport } from "../../kds/wire.ts";
import type { Context } from "../runtime/actor.ts";
import { global } from "./global.ts";
import { keepSecret, mayJoin, openGate } from "./membership.ts";
import type { GlobalArgs, GlobalMsg } from "./messages.ts";

const PEM = await newSigningKey();
const HOUR_MS = 3_600_000;

const ARGS: GlobalArgs = {
  descriptors: KINDS,
  newClusterId: "c-1",
  instance: "g-1",
  version: "0.1.0",
  receipts: null,
  unreachableAfterMs: null,
  auth: "token",
  exempt: ["kuma-1"],
};

function stored(type: string, name: string, spec: Resource["spec"] = {}): Resource {
  const times = { creationTime: "", modificationTime: "" };
  return { type, mesh: "", name, labels: {}, spec, version: 1, ...times };
}

const secret = (name: string, text: string) => stored("GlobalSecret", name, { data: btoa(text) });
const KEY = secret("zone-token-signing-key-1", PEM);
const CLUSTER = stored("Config", "kuma-cluster-id", { config: "c-1" });
const EPOCH = stored("Config", "ursa-epochs", {
  config: JSON.stringify([{ id: ARGS.instance, from: 0 }]),
});
const EAST = stored("Zone", "east", { enabled: true });

function start(args: Partial<GlobalArgs> = {}) {
  const at = { nowMs: Date.parse("2026-01-01"), self: "global", random: () => 0.5 };
  let [state, effects] = global.init({ ...ARGS, ...args }, at satisfies Context);
  let streams = 0;
  const tell = (msg: GlobalMsg) => {
    [state, effects] = global.receive(state, msg, at);
  };
  const change = (full: boolean, resources: readonly (Resource | { gone: Resource })[]) =>
    tell({
      tag: "resources_changed",
      revision: 1,
      full,
      changes: resources.map((one) => {
        const [key, resource] = "gone" in one ? [one.gone, null] : [one, one];
        return { revision: 1, key, resource, previous: null };
      }),
    });
  return {
    at,
    change,
    open(zone: string, authorization: readonly string[], kind: StreamKind = "global_to_zone") {
      const caller = { features: [], version: "", peer: "127.0.0.1:1", run: null, authorization };
      tell({ tag: "stream_opened", stream: `s${++streams}`, kind, zone, caller });
      return `s${streams}`;
    },
    end: (stream: string) => tell({ tag: "stream_closed", stream, reason: "the stream ended" }),
    check(zone: string, authorization: readonly string[], reports: readonly ZoneReport[] = []) {
      const caller = { features: [], version: "", peer: "127.0.0.1:1", run: null, authorization };
      tell({ tag: "health_checked", check: "c1", zone, caller, reports, digests: null });
    },
    answered: () =>
      effects.flatMap((effect) => {
        const what = effect.do === "command" ? effect.command as ServerCommand : null;
        return what?.do === "answer_health" ? [what.refusal?.code ?? "taken"] : [];
      }),
    closed: () =>
      effects.flatMap((effect) => {
        const what = effect.do === "command" ? effect.command as ServerCommand : null;
        return what?.do === "close" ? [`${what.stream} ${what.code}: ${what.message}`] : [];
      }),
    sent: (tag: string) =>
      effects.flatMap((one) => one.do === "send" && one.msg.tag === tag ? [one.to] : []),
    written: () =>
      effects.flatMap((one) =>
        one.do === "send" && one.msg.tag === "write" ? [one.msg as unknown] : []
      ).length,
    logged: () => effects.flatMap((one) => one.do === "log" ? [one.message] : []),
    counted: () => effects.flatMap((one) => one.do === "count" ? [one.labels!["reason"]] : []),
  };
}

function tokenFor(
  claims: Partial<ClaimsOf["zone"]>,
  { id = "id-1", validForMs = HOUR_MS }: { readonly id?: string; readonly validForMs?: number } =
    {},
): string {
  const nowMs = Date.parse("2026-01-01");
  const all = { zone: "east", scope: ["cp"], ...claims };
  const order = { kind: "zone", claims: all, validForMs, nowMs, id } as const;
  return issueToken(order, { keyId: "1", key: createPrivateKey(PEM) });
}

Deno.test("a zone joins with a token that names it, with and without Bearer", () => {
  for (const text of [`Bearer ${tokenFor({})}`, tokenFor({})]) {
    const at = start();
    at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
    at.open("east", [text]);
    assert.deepEqual(at.closed(), []);
    assert.deepEqual(at.sent("stream_opened"), ["zones/east"]);
  }
});

const REFUSED: readonly (readonly [string, readonly string[], RegExp, string])[] = [
  ["none", [], /unauthenticated: zone "east" has shown no .*`ursa ctl zone join east`/, "missing"],
  ["two", [tokenFor({}), tokenFor({})], /unauthenticated: .*given once/, "malformed"],
  ["nonsense", ["x"], /unauthenticated: the zone token cannot be read/, "malformed"],
  ["expired", [tokenFor({}, { validForMs: -1 })], /expired \(key id "1", expiry 2025/, "expired"],
  [
    "for another",
    [tokenFor({ zone: "west" })],
    /permission_denied: the zone token is for zone "west", this says it is "east" \(key id "1", id "id-1", expiry/,
    "not_for_this_zone",
  ],
  ["for all", [tokenFor({ zone: "" })], /permission_denied: .* names no zone/, "not_for_this_zone"],
  [
    "for proxies",
    [tokenFor({ scope: ["ingress", "egress"] })],
    /permission_denied: .* is for ingress, egress, not for a control plane \(scope cp\)/,
    "not_for_this_zone",
  ],
];

for (const [what, authorization, wanted, reason] of REFUSED) {
  Deno.test(`a zone is refused with a token: ${what}`, () => {
    const at = start();
    at.change(true, [CLUSTER, EPOCH, KEY]);
    at.open("east", authorization);
    assert.match(at.closed()[0]!, wanted);
    assert.deepEqual(at.counted(), [`token_${reason}`]);
    assert.deepEqual(at.logged(), ["zone refused"]);
    assert.equal(at.written(), 0, "nobody's Zone is made");
    // It comes back every few seconds: counted, not said again.
    at.open("east", authorization);
    assert.deepEqual([at.closed().length, at.counted().length, at.logged().length], [1, 1, 0]);
  });
}

Deno.test("streams that come before the store is read are looked at then", () => {
  const at = start();
  at.open("east", [tokenFor({})]);
  at.open("west", [tokenFor({})]);
  assert.deepEqual(at.closed(), []);
  at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
  assert.match(at.closed().join(), /^s2 permission_denied/);
  assert.deepEqual(at.sent("stream_opened"), ["zones/east"]);
  assert.equal(at.written(), 0);
});

Deno.test("a zone of Kuma's may be exempt by name, which lets no other in", () => {
  const at = start();
  at.change(true, [CLUSTER, EPOCH, KEY]);
  at.open("kuma-1", []);
  assert.deepEqual([at.closed(), at.written()], [[], 1]);
  at.open("kuma-2", []);
  assert.match(at.closed()[0]!, /kuma-2" has shown no zone token/);
  at.open("kuma-1", ["nonsense"]);
  assert.match(at.closed()[0]!, /cannot be read/, "what is shown is looked at");
});

Deno.test("a revoked token, and one whose key is gone, end every stream of the zone at once", () => {
  const changes = [
    [secret("zone-token-revocations", "id-1"), /revoked: its id is "id-1" \(key id "1"/],
    [{ gone: KEY }, /key that is not there/],
  ] as const;
  for (const [change, wanted] of changes) {
    const at = start();
    at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
    const kinds: readonly StreamKind[] = ["global_to_zone", "zone_to_global", "stats"];
    for (const kind of kinds) at.open("east", [tokenFor({})], kind);
    at.change(false, [change]);
    const closed = at.closed();
    assert.deepEqual(closed.map((text) => text.split(" ")[0]), ["s1", "s2", "s3"]);
    for (const text of closed) assert.match(text, wanted);
    assert.deepEqual(at.logged(), ["zone cut off: its token is good no more"]);
    at.open("east", [tokenFor({})]);
    assert.match(at.closed()[0]!, wanted);
    at.open("east", [tokenFor({}, { id: "id-2" })]);
    assert.equal(at.closed().length, "gone" in change ? 1 : 0);
  }
});

Deno.test("a token is withdrawn from every stream that has it, whoever came after with another", () => {
  const at = start();
  at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
  at.open("east", [tokenFor({})]);
  const gone = at.open("east", [tokenFor({})]);
  at.open("east", [tokenFor({}, { id: "id-2" })]);
  at.end(gone);
  at.change(false, [secret("zone-token-revocations", "id-1")]);
  assert.deepEqual(at.closed().map((text) => text.split(" ")[0]), ["s1"]);
});

Deno.test("a stream that ends before the store is read is nobody's any more", () => {
  const at = start();
  at.end(at.open("east", [tokenFor({})]));
  at.change(true, [CLUSTER, EPOCH, KEY]);
  assert.deepEqual([at.sent("stream_opened"), at.written()], [[], 0]);
});

Deno.test("streams outlive their token, the next one is refused", () => {
  const at = start();
  at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
  at.open("east", [tokenFor({})]);
  at.at.nowMs += 2 * HOUR_MS;
  at.change(false, [secret("zone-token-revocations", "another")]);
  assert.deepEqual(at.closed(), []);
  at.open("east", [tokenFor({})]);
  assert.match(at.closed()[0]!, /has expired/);
});

Deno.test("a health check is believed with the token of its zone alone", () => {
  const at = start();
  at.change(true, [CLUSTER, EPOCH, KEY, EAST]);
  at.check("east", []);
  assert.deepEqual([at.sent("health_checked"), at.counted()], [[], ["token_missing"]]);
  assert.deepEqual(at.answered(), ["unauthenticated"]);
  at.check("east", [tokenFor({ zone: "west" })]);
  assert.deepEqual([at.sent("health_checked"), at.answered()], [[], ["permission_denied"]]);
  at.open("east", [tokenFor({})]);
  at.check("east", [tokenFor({})]);
  assert.deepEqual(at.sent("health_checked"), ["zones/east"]);
});

Deno.test("what a zone reports before it is known is not taken: it has to say it again", () => {
  const at = start();
  at.change(true, [CLUSTER, EPOCH, KEY]);
  at.check("east", [tokenFor({})]);
  assert.deepEqual(at.answered(), ["taken"]);
  const proxies = { affected: 1, acked: 1, nacked: 0, pending: 0, offline: 0 };
  at.check("east", [tokenFor({})], [{ revision: 7, after: 6, proxies, lastAckMs: 1 }]);
  assert.deepEqual([at.sent("health_checked"), at.answered()], [[], ["unavailable"]]);
});

Deno.test("without authentication, whatever a zone shows is nobody's question", () => {
  const at = start({ auth: "none" });
  at.change(true, [CLUSTER, EPOCH, EAST]);
  at.open("east", ["nonsense"]);
  assert.deepEqual([at.closed(), at.sent("stream_opened")], [[], ["zones/east"]]);
});

Deno.test("mayJoin() holds zones against the public keys of settings, alone when told so", () => {
  const nowMs = Date.parse("2026-01-01");
  const key = createPrivateKey(PEM);
  const claims = { zone: "east", scope: ["cp"] };
  const outcome = (keyId: string, useSecrets: boolean) => {
    const publicKeys = [{ keyId: "hr", pem: publicKeyPem(key) }];
    const gate = openGate({ exempt: [], keys: { publicKeys, useSecrets } });
    keepSecret(gate, KEY, KEY);
    const order = { kind: "zone", claims, validForMs: HOUR_MS, nowMs, id: "1" } as const;
    const authorization = [issueToken(order, { keyId, key })];
    const joined = mayJoin(gate, { zone: "east", caller: { authorization }, nowMs });
    return joined.ok ? "good" : joined.reason;
  };
  assert.equal(outcome("hr", true), "good");
  assert.equal(outcome("1", true), "good");
  assert.equal(outcome("hr", false), "good");
  assert.equal(outcome("1", false), "token_unknown_key");
});
