import { deepEqual, equal } from "node:assert/strict";
import type { Resource } from "../core/resource.ts";
import { ADMIN_CA, adminCaOf, adminCaSecret } from "./admin_ca.ts";

const pem = (what: string) => `-----BEGIN ${what}-----\nMIIB\n-----END ${what}-----\n`;
const stored = (data: string): Resource => ({
  ...ADMIN_CA,
  labels: {},
  spec: { data },
  version: 1,
  creationTime: "",
  modificationTime: "",
});

Deno.test("adminCaOf() reads what adminCaSecret() writes, and what Kuma writes", () => {
  for (const kind of ["PRIVATE KEY", "RSA PRIVATE KEY"]) {
    const pair = { cert: pem("CERTIFICATE"), key: pem(kind) };
    deepEqual(adminCaOf(stored(adminCaSecret(pair).spec["data"] as string)), pair);
  }
});

Deno.test("adminCaOf() is null for a secret that holds no pair", () => {
  for (const text of ["", pem("CERTIFICATE"), pem("PRIVATE KEY"), "hello"]) {
    equal(adminCaOf(stored(btoa(text))), null);
  }
  equal(adminCaOf(stored("%")), null);
  equal(adminCaOf(undefined), null);
});
