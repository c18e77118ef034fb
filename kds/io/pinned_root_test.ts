import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import type { KeyPair } from "../../identity/ca.ts";
import { createServerCertificate } from "../../identity/io/authority.ts";
import { pinnedRoot } from "./pinned_root.ts";

function certificate(): KeyPair {
  const at = { nowMs: Date.now(), lifetimeMs: 3_600_000 };
  return createServerCertificate({ names: ["localhost"], addresses: ["127.0.0.1"] }, at);
}

function fingerprint({ cert }: KeyPair): string {
  const der = Uint8Array.fromBase64(cert.replace(/-----[^-]+-----|\s/g, ""));
  return createHash("sha256").update(der).digest("hex");
}

interface Stage {
  readonly port: number;
  readonly file: string;
  /** What the server heard beyond the handshake. */
  readonly heard: string[];
  readonly connections: () => number;
}

async function withServer(pair: KeyPair, play: (stage: Stage) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "ursa-pin-" });
  const heard: string[] = [];
  let connections = 0;
  const server = createServer({ ...pair, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("data", (bytes) => heard.push(String(bytes)));
    socket.on("error", () => {});
  });
  // Before TLS: whoever has seen enough need not wait for the server.
  server.on("connection", () => connections++);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await play({ port, file: `${dir}/global-ca.crt`, heard, connections: () => connections });
  } finally {
    server.close();
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("pinnedRoot() takes the certificate that has the fingerprint, and keeps it for later", async () => {
  const pair = certificate();
  await withServer(pair, async ({ port, file, heard, connections }) => {
    const pin = { host: "127.0.0.1", port, fingerprint: fingerprint(pair), file };
    const pem = await pinnedRoot(pin);
    assert.equal(fingerprint({ ...pair, cert: pem! }), pin.fingerprint);
    assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
    // Asked once: later starts, with and without the fingerprint, use what was kept.
    assert.equal(await pinnedRoot(pin), pem);
    assert.equal(await pinnedRoot({ ...pin, fingerprint: null }), pem);
    assert.equal(connections(), 1);
    assert.deepEqual(heard, []);
  });
});

Deno.test("pinnedRoot() believes nobody with another certificate, and says both fingerprints", async () => {
  const [genuine, forged] = [certificate(), certificate()];
  await withServer(forged, async ({ port, file, heard }) => {
    const pin = { host: "127.0.0.1", port, fingerprint: fingerprint(genuine), file };
    await assert.rejects(pinnedRoot(pin), (error: Error) => {
      assert.match(error.message, new RegExp(`fingerprint sha256:${fingerprint(genuine)}`));
      assert.match(error.message, new RegExp(`shows sha256:${fingerprint(forged)}`));
      return true;
    });
    assert.deepEqual(heard, []);
    await assert.rejects(Deno.stat(file), Deno.errors.NotFound);
  });
});

Deno.test("pinnedRoot() asks nobody without a fingerprint, and asks anew for another one", async () => {
  const [before, after] = [certificate(), certificate()];
  await withServer(after, async ({ port, file, connections }) => {
    const pin = { host: "127.0.0.1", port, fingerprint: null, file };
    assert.equal(await pinnedRoot(pin), null);
    assert.equal(connections(), 0);
    await Deno.writeTextFile(file, before.cert);
    const pem = await pinnedRoot({ ...pin, fingerprint: fingerprint(after) });
    assert.equal(fingerprint({ ...after, cert: pem! }), fingerprint(after));
  });
});
