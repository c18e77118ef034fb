import assert from "node:assert/strict";
import { type Answer, answerQuestion, RCODE } from "./answer.ts";
import { buildZoneTable } from "./zone_table.ts";

const vips = { web: "240.0.0.1", "a.b": "240.0.0.2", six: "fd00::1" };
const table = buildZoneTable(Object.entries(vips), { domain: "mesh", serial: 7 });
const TYPES = { A: 1, NS: 2, SOA: 6, TXT: 16, AAAA: 28, HTTPS: 65, AXFR: 252, ANY: 255 };

function ask(text: string, options: { forwards?: boolean; class?: number } = {}): string {
  const [name = "", type = "A"] = text.split(" ");
  const question = { name, type: TYPES[type as keyof typeof TYPES], class: options.class ?? 1 };
  const answer = answerQuestion(question, table, { forwards: options.forwards ?? false });
  return answer === "forward" ? answer : summary(answer);
}

function summary({ rcode, authoritative, answers, authorities }: Answer): string {
  const name = Object.entries(RCODE).find(([, value]) => value === rcode)?.[0];
  const records = (list: Answer["answers"]) =>
    list.map(({ type, data }) => type === "SOA" ? `SOA#${data.serial}` : `${type}=${data}`);
  return [
    name,
    ...(authoritative ? ["aa"] : []),
    ...records(answers),
    ...records(authorities).map((record) => `(${record})`),
  ].join(" ");
}

Deno.test("answerQuestion() answers for the mesh's names", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["web.mesh A", "noError aa A=240.0.0.1"],
    ["WEB.mesh A", "noError aa A=240.0.0.1"],
    ["web.mesh ANY", "noError aa A=240.0.0.1"],
    ["web.mesh AAAA", "noError aa (SOA#7)"],
    ["web.mesh TXT", "noError aa (SOA#7)"],
    ["web.mesh HTTPS", "noError aa (SOA#7)"],
    ["six.mesh AAAA", "noError aa AAAA=fd00::1"],
    ["six.mesh A", "noError aa (SOA#7)"],
    ["b.mesh A", "noError aa (SOA#7)"],
    ["nobody.mesh A", "nxDomain aa (SOA#7)"],
    ["nobody.mesh AAAA", "nxDomain aa (SOA#7)"],
    ["mesh SOA", "noError aa SOA#7"],
    ["mesh A", "noError aa (SOA#7)"],
    ["mesh NS", "noError aa (SOA#7)"],
    ["mesh AXFR", "refused"],
    ["example.com A", "refused"],
  ];
  for (const [question, expected] of cases) assert.equal(ask(question), expected, question);
});

Deno.test("answerQuestion() forwards other names where it can, and no other class", () => {
  assert.equal(ask("example.com A", { forwards: true }), "forward");
  assert.equal(ask("web.mesh A", { forwards: true }), "noError aa A=240.0.0.1");
  assert.equal(ask("version.bind TXT", { forwards: true, class: 3 }), "refused");
});

Deno.test("answerQuestion() fails, and denies nothing, before the first state is known", () => {
  const question = { name: "web.mesh", type: 1, class: 1 };
  const answer = answerQuestion(question, null, { forwards: false });
  assert.equal(answer !== "forward" && summary(answer), "servFail");
});
