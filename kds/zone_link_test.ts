import assert from "node:assert/strict";
import { KINDS } from "../core/kinds.ts";
import type { JsonObject, Resource } from "../core/resource.ts";
import { goesToZone } from "./filter.ts";
import { KUMA_FEATURES, ownMetadata, peerInfo } from "./wire.ts";
import { announcedLink, readLink, URSA_ZONE_LINKS, writeLink, zoneOfLink } from "./zone_link.ts";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const LINK = { host: "west.example", port: 5687, certificate: CERTIFICATE };
const OWN = { version: "1", instance: "i", config: "" };
const stored: Resource = {
  ...writeLink("west", LINK),
  version: 1,
  creationTime: "",
  modificationTime: "",
};

Deno.test("a zone's link is announced, kept and read as it is", () => {
  assert.deepEqual(announcedLink(ownMetadata({ ...OWN, link: LINK })), LINK);
  assert.equal(announcedLink(ownMetadata(OWN)), null);
  assert.equal(zoneOfLink(stored), "west");
  assert.equal(zoneOfLink({ ...stored, type: "Mesh" }), null);
  assert.deepEqual(readLink(stored), LINK);
});

Deno.test("a link of another form is none", () => {
  const forms: readonly unknown[] = [
    null,
    "x",
    [],
    {},
    { ...LINK, port: 0 },
    { ...LINK, port: "5687" },
    { ...LINK, port: 1.5 },
    { ...LINK, host: "a b" },
    { ...LINK, host: "h".repeat(300) },
    { ...LINK, certificate: "x" },
    { ...LINK, certificate: CERTIFICATE + "x".repeat(9_000) },
  ];
  for (const form of forms) {
    const metadata = { features: [URSA_ZONE_LINKS], "ursa-zone-link": form } as JsonObject;
    assert.equal(announcedLink(metadata), null, JSON.stringify(form));
  }
  assert.equal(readLink({ spec: { config: "{" } }), null);
  assert.equal(readLink({ spec: {} }), null);
});

Deno.test("links go to zones that know what they are, and to and of no zone that is disabled", () => {
  const descriptor = KINDS.find(({ name }) => name === "Config")!;
  const { features } = peerInfo(ownMetadata({ ...OWN, link: LINK }));
  assert.ok(features.includes(URSA_ZONE_LINKS));
  const goes = (zone: string, features: readonly string[], ...disabled: readonly string[]) =>
    goesToZone(stored, { descriptor, zone, features, isDisabled: (one) => disabled.includes(one) });
  assert.equal(goes("east", features), true);
  assert.equal(goes("east", KUMA_FEATURES), false);
  assert.equal(goes("west", features), false, "its own");
  assert.equal(goes("east", features, "west"), false);
  assert.equal(goes("east", features, "east"), false);
});
