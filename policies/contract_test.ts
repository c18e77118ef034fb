// What every policy must be, whatever it does.

import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import type { ProxyDraft } from "../core/proxy_draft.ts";
import { ROUND_ROBIN } from "../core/proxy_draft.ts";
import type { JsonObject, Resource } from "../core/resource.ts";
import { renderViolations } from "../core/violation.ts";
import { decodeSpec, encodeSpec } from "../proto/spec.ts";
import { POLICIES } from "./registry.gen.ts";

const SECTIONS = ["Name", "Description", "Fields", "Examples", "Metrics", "Compatibility"];

for (const { resource, apply } of POLICIES) {
  const folder = resource.name.replace(/(?<=.)([A-Z])/g, "_$1").toLowerCase();
  const readme = Deno.readTextFileSync(new URL(`./${folder}/README.md`, import.meta.url));
  const examples = [...readme.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text!);
  const specs = examples.map((text) => {
    const { type, mesh: _mesh, name, ...spec } = parse(text);
    assert.equal(type, resource.name);
    return { name, spec: spec as JsonObject };
  });
  const resources: readonly Resource[] = specs.map(({ name, spec }) => ({
    type: resource.name,
    mesh: "default",
    name,
    labels: {},
    spec,
    version: 1,
    creationTime: "2026-01-01T00:00:00Z",
    modificationTime: "2026-01-01T00:00:00Z",
  }));

  Deno.test(`${resource.name}: the README has all sections, in order`, () => {
    const sections = [...readme.matchAll(/^## (.*)$/gm)].map(([, title]) => title);
    assert.deepEqual(sections, SECTIONS);
  });

  Deno.test(`${resource.name}: every example is valid and survives the wire`, () => {
    assert.ok(specs.length > 0);
    for (const { spec } of specs) {
      assert.equal(renderViolations(resource.validate(spec)), "");
      const bytes = encodeSpec(resource, spec);
      assert.deepEqual(encodeSpec(resource, decodeSpec(resource, bytes)), bytes);
    }
  });

  Deno.test(`${resource.name}: validate() never throws, and gives each violation a message`, () => {
    const keys = ["sources", "destinations", "conf", "match", "split", "http", "weight", "modify"];
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(null, undefined, 0, -1, "", "*", "text", true, Number.NaN),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), tie("value"), {
          maxKeys: 4,
        }),
      ),
    }));
    fc.assert(fc.property(value, (spec) => {
      for (const { message } of resource.validate(spec)) assert.notEqual(message, "");
    }));
  });

  Deno.test(`${resource.name}: validate() finds what is broken in an example`, () => {
    for (const { spec } of specs) {
      for (const key of Object.keys(spec)) {
        const { [key]: _, ...without } = spec;
        assert.ok(resource.validate(without).some(({ path }) => path === key), key);
        // A peer may know fields that we do not.
        assert.deepEqual(resource.validate({ ...spec, [`${key}x`]: 1 }), []);
      }
    }
  });

  Deno.test(`${resource.name}: apply() does the same twice, and in any order of resources`, () => {
    const once = draft();
    apply(once, resources);
    const again = structuredClone(once);
    apply(again, resources);
    assert.deepEqual(again, once);
    const turned = draft();
    apply(turned, [...resources].reverse());
    assert.deepEqual(turned, once);
  });

  Deno.test(`${resource.name}: apply() touches nothing unmatched`, () => {
    const untouched = draft("nobody");
    apply(untouched, resources.filter(({ spec }) => !JSON.stringify(spec).includes('"*"')));
    assert.deepEqual(untouched, draft("nobody"));
  });
}

function draft(service = "backend"): ProxyDraft {
  const tags = { "kuma.io/service": service };
  return {
    mesh: "default",
    tagSets: [tags],
    inbounds: [{
      address: "10.0.0.1",
      port: 80,
      workloadAddress: "10.0.0.1",
      workloadPort: 80,
      tags,
      protocol: "http",
      permission: null,
    }],
    outbounds: [{
      address: "127.0.0.1",
      port: 81,
      bindToPort: true,
      tags,
      routes: [{ match: null, modify: null, split: [{ weight: 1, tags }] }],
      loadBalancer: ROUND_ROBIN,
      tellsTags: false,
    }],
  };
}
