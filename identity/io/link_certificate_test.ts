import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureLinkCertificate } from "./link_certificate.ts";

Deno.test("a zone's link certificate is kept, for its owner only, and made anew when it is no good", async () => {
  const dir = await mkdtemp(join(tmpdir(), "ursa-link-"));
  try {
    const first = await ensureLinkCertificate({ dir, host: "east.zone.ursa" });
    assert.deepEqual(await ensureLinkCertificate({ dir, host: "east.zone.ursa" }), first);
    assert.equal((await stat(join(dir, "link.key"))).mode & 0o777, 0o600);
    assert.equal(new X509Certificate(first.cert).checkHost("west.zone.ursa"), undefined);
    const other = await ensureLinkCertificate({ dir, host: "west.zone.ursa" });
    assert.notEqual(other.cert, first.cert);
    await writeFile(join(dir, "link.key"), "damaged");
    const mended = await ensureLinkCertificate({ dir, host: "west.zone.ursa" });
    assert.notEqual(mended.cert, other.cert);
  } finally {
    await rm(dir, { recursive: true });
  }
});
