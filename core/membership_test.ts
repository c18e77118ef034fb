import assert from "node:assert/strict";
import { whyNoMember } from "./membership.ts";

Deno.test("whyNoMember() asks for one requirement, and for no restriction", () => {
  const rules = {
    requirements: [{ tags: { env: "prod", "kuma.io/zone": "*" } }, { tags: { env: "stage" } }],
    restrictions: [{ tags: { team: "guests" } }],
  };
  assert.equal(whyNoMember({}, { env: "dev" }), null);
  assert.equal(whyNoMember(rules, { env: "prod", "kuma.io/zone": "east" }), null);
  assert.equal(whyNoMember(rules, { env: "stage" }), null);
  assert.match(
    whyNoMember(rules, { env: "prod" })!,
    /^its tags \{env=prod\} fulfill no requirement/,
  );
  assert.match(
    whyNoMember(rules, { env: "stage", team: "guests" })!,
    /match the restricted \{team=guests\}/,
  );
  assert.equal(whyNoMember({ requirements: [{}] }, {}), null, "a peer may leave everything out");
});
