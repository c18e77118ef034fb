// What a question about a name gets: records, a refusal, or somebody else's answer.

import { lookUp, type ZoneTable } from "./zone_table.ts";

/** Type and class by number, as they came. */
export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** A resource record in the form that dns-packet encodes. */
export type DnsRecord =
  | {
    readonly type: "A" | "AAAA";
    readonly name: string;
    readonly ttl: number;
    readonly data: string;
  }
  | {
    readonly type: "SOA";
    readonly name: string;
    readonly ttl: number;
    readonly data: {
      readonly mname: string;
      readonly rname: string;
      readonly serial: number;
      readonly refresh: number;
      readonly retry: number;
      readonly expire: number;
      readonly minimum: number;
    };
  };

export const RCODE = {
  noError: 0,
  formErr: 1,
  servFail: 2,
  nxDomain: 3,
  notImp: 4,
  refused: 5,
  badVers: 16,
} as const;

export type Rcode = typeof RCODE[keyof typeof RCODE];

export interface Answer {
  readonly rcode: Rcode;
  readonly authoritative: boolean;
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
}

const TYPE = { a: 1, soa: 6, aaaa: 28, ixfr: 251, axfr: 252, any: 255 } as const;
const CLASS = { internet: 1, any: 255 } as const;

/** As Kuma's proxies tell; shorter than the grace time for which an address outlives its service. */
const TTL_SECONDS = 30;
/** A service may appear at any moment, and must not stay unknown to who asked a second too early. */
const NEGATIVE_TTL_SECONDS = 1;

/** `table` is null until the first state is known. `forwards`: whether there are other resolvers to ask. */
export function answerQuestion(
  question: Question,
  table: ZoneTable | null,
  { forwards }: { readonly forwards: boolean },
): Answer | "forward" {
  if (table === null) return failure(RCODE.servFail);
  const isTransfer = question.type === TYPE.axfr || question.type === TYPE.ixfr;
  if (question.class !== CLASS.internet && question.class !== CLASS.any) {
    return failure(RCODE.refused);
  }
  const lookup = lookUp(table, question.name);
  if (lookup.found === "outside") return forwards ? "forward" : failure(RCODE.refused);
  if (isTransfer) return failure(RCODE.refused);
  switch (lookup.found) {
    case "address": {
      const type = lookup.family === 4 ? "A" : "AAAA";
      const asked = question.type === TYPE.any ||
        question.type === (lookup.family === 4 ? TYPE.a : TYPE.aaaa);
      const { name } = question;
      return asked
        ? success([{ type, name, ttl: TTL_SECONDS, data: lookup.address }])
        : negative(RCODE.noError, table);
    }
    case "apex":
      return question.type === TYPE.soa || question.type === TYPE.any
        ? success([startOfAuthority(table)])
        : negative(RCODE.noError, table);
    case "branch":
      return negative(RCODE.noError, table);
    case "nothing":
      return negative(RCODE.nxDomain, table);
  }
}

export function failure(rcode: Rcode): Answer {
  return { rcode, authoritative: false, answers: [], authorities: [] };
}

function success(answers: readonly DnsRecord[]): Answer {
  return { rcode: RCODE.noError, authoritative: true, answers, authorities: [] };
}

/** With the SOA record, by which resolvers know how long to remember it: RFC 2308. */
function negative(rcode: Rcode, table: ZoneTable): Answer {
  return { rcode, authoritative: true, answers: [], authorities: [startOfAuthority(table)] };
}

function startOfAuthority({ domain, serial }: ZoneTable): DnsRecord {
  return {
    type: "SOA",
    name: domain,
    ttl: NEGATIVE_TTL_SECONDS,
    data: {
      mname: domain,
      rname: `hostmaster.${domain}`,
      serial: serial % 2 ** 32,
      refresh: 60,
      retry: 60,
      expire: 3_600,
      minimum: NEGATIVE_TTL_SECONDS,
    },
  };
}
