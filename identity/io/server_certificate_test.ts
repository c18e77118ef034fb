import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCa, createServerCertificate, issueLeaf, openAuthority } from "./authority.ts";
import { certificateCovers, ensureServerCertificate, faultOfRoot } from "./server_certificate.ts";

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

Deno.test("certificateCovers() takes names and addresses in any spelling, and no others", () => {
  const { cert } = createServerCertificate(
    { names: ["localhost"], addresses: ["127.0.0.1", "::1"] },
    { nowMs: Date.now(), lifetimeMs: 3_600_000 },
  );
  const hosts = ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1", "127.0.0.2", "example.org"];
  assert.deepEqual(hosts.map((host) => certificateCovers(cert, host)), [
    ...[true, true, true, false, false],
  ]);
});

Deno.test("faultOfRoot() takes a CA, and refuses a leaf and what is no certificate", () => {
  const life = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  const ca = createCa("default", life);
  const leaf = issueLeaf(openAuthority(ca), ["spiffe://default/web"], life);
  assert.equal(faultOfRoot(ca.cert), null);
  assert.match(faultOfRoot(leaf.cert) ?? "", /is not a certificate authority/);
  assert.match(faultOfRoot("hello") ?? "", /must be a certificate in PEM form/);
});
