import assert from "node:assert/strict";
import { isIp, isIpv4, isIpv6, isUnspecified } from "./address.ts";

Deno.test("isIp() takes addresses, and nothing that resolves to one", () => {
  for (const text of ["127.0.0.1", "255.255.255.255", "0.0.0.0"]) assert(isIpv4(text), text);
  for (const text of ["::", "::1", "fd00::a:1", "::ffff:10.0.0.1", "1:2:3:4:5:6:7:8"]) {
    assert(isIpv6(text), text);
  }
  const others = [
    "",
    "1",
    "127.1",
    "256.0.0.1",
    "1.2.3.4.5",
    "localhost",
    "[::1]",
    "::1%lo",
    ":::",
  ];
  for (const text of [...others, "1:2:3", "::1/../x", "a:b", "::g"]) assert(!isIp(text), text);
});

Deno.test("isUnspecified() knows every spelling of everywhere", () => {
  for (const text of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::0"]) assert(isUnspecified(text), text);
  for (const text of ["127.0.0.1", "::1", "host"]) assert(!isUnspecified(text), text);
});
