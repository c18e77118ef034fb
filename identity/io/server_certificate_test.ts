import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureServerCertificate } from "./server_certificate.ts";

async function inFolder(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "ursa-certificate-"));
  try {
    await run(join(dir, "data"));
  } finally {
    await rm(dir, { recursive: true });
  }
}

const hosts = ["localhost", "127.0.0.1", "::1"];

Deno.test("ensureServerCertificate() makes one, for its owner only, and keeps it", async () => {
  await inFolder(async (dir) => {
    const first = await ensureServerCertificate({ dir, hosts });
    assert.equal(first.origin, "created");
    assert.match(first.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.equal((await stat(join(dir, "ca.key"))).mode & 0o777, 0o600);
    assert.equal(await readFile(first.certFile, "utf8"), first.cert);

    const again = await ensureServerCertificate({ dir, hosts: ["localhost"] });
    assert.deepEqual(again, { ...first, origin: "kept" });
  });
});

Deno.test("ensureServerCertificate() makes another when a host is missing or a file is damaged", async () => {
  await inFolder(async (dir) => {
    const first = await ensureServerCertificate({ dir, hosts });
    const wider = await ensureServerCertificate({ dir, hosts: [...hosts, "127.128.7.1"] });
    assert.notEqual(wider.fingerprint, first.fingerprint);
    assert.equal(wider.origin, "replaced");

    await writeFile(join(dir, "ca.key"), "damaged");
    const mended = await ensureServerCertificate({ dir, hosts });
    assert.equal(mended.origin, "replaced");

    await writeFile(join(dir, "ca.crt"), first.cert);
    const matching = await ensureServerCertificate({ dir, hosts });
    assert.equal(matching.origin, "replaced");
  });
});
