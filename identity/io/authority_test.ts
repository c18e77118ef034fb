import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { InvalidError } from "../../core/errors.ts";
import type { KeyPair } from "../ca.ts";
import { createCa, createServerCertificate, issueLeaf, openAuthority } from "./authority.ts";

const HOUR_MS = 3_600_000;
const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
const life = { nowMs, lifetimeMs: HOUR_MS };
const URIS = ["spiffe://default/web", "kuma://kuma.io/service/web"];

Deno.test("createCa() makes a CA in Kuma's shape", () => {
  const { cert } = createCa("default", life);
  const ca = new X509Certificate(cert);
  assert.equal(ca.ca, true);
  assert.equal(ca.subject, "O=Kuma\nOU=Mesh\nCN=default");
  assert.equal(ca.issuer, ca.subject);
  assert.equal(ca.subjectAltName, "URI:spiffe://default");
  assert.equal(ca.publicKey.asymmetricKeyType, "ec");
  assert.equal(ca.verify(ca.publicKey), true);
  assert.equal(Date.parse(ca.validTo), nowMs + HOUR_MS);
});

Deno.test("issueLeaf() chains to its CA and to no other", () => {
  const [own, foreign] = [createCa("default", life), createCa("default", life)];
  const leaf = issueLeaf(openAuthority(own), URIS, life);
  const certificate = new X509Certificate(leaf.cert);
  const root = new X509Certificate(own.cert);
  const other = new X509Certificate(foreign.cert);
  assert.equal(certificate.checkIssued(root), true);
  assert.equal(certificate.verify(root.publicKey), true);
  assert.equal(certificate.verify(other.publicKey), false);
  assert.equal(certificate.ca, false);
  assert.equal(certificate.subjectAltName, URIS.map((uri) => `URI:${uri}`).join(", "));
  assert.equal(Date.parse(certificate.validFrom), nowMs - 10_000);
  assert.equal(Date.parse(certificate.validTo), leaf.expiresAtMs);
});

Deno.test("issueLeaf() gives every certificate its own positive serial and key", () => {
  const authority = openAuthority(createCa("default", life));
  const leaves = [1, 2, 3].map(() => issueLeaf(authority, URIS, life));
  const serials = new Set(leaves.map(({ cert }) => new X509Certificate(cert).serialNumber));
  assert.equal(serials.size, 3);
  for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
  assert.equal(new Set(leaves.map(({ key }) => key)).size, 3);
});

Deno.test("issueLeaf() never outlives its CA, and refuses when that has expired", () => {
  const authority = openAuthority(createCa("default", life));
  const leaf = issueLeaf(authority, URIS, { nowMs, lifetimeMs: 24 * HOUR_MS });
  assert.equal(leaf.expiresAtMs, nowMs + HOUR_MS);
  assert.throws(
    () => issueLeaf(authority, URIS, { nowMs: nowMs + 2 * HOUR_MS, lifetimeMs: HOUR_MS }),
    /the CA certificate expired at/,
  );
});

Deno.test("issueLeaf() refuses names that a certificate cannot carry", () => {
  const authority = openAuthority(createCa("default", life));
  assert.throws(() => issueLeaf(authority, ["spiffe://default/wéb"], life), InvalidError);
  assert.throws(() => issueLeaf(authority, ["spiffe://default/a b"], life), InvalidError);
});

Deno.test("openAuthority() refuses what is no CA, or not its key, or not PEM", () => {
  const ca = createCa("default", life);
  const leaf = issueLeaf(openAuthority(ca), URIS, life);
  const other = createCa("default", life);
  const bad: readonly KeyPair[] = [leaf, { cert: ca.cert, key: other.key }, { cert: "", key: "" }, {
    cert: ca.cert,
    key: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
  }];
  for (const pair of bad) assert.throws(() => openAuthority(pair), InvalidError);
});

Deno.test("openAuthority() refuses curves and keys that it cannot sign with", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  assert.throws(() => openAuthority({ cert: createCa("default", life).cert, key }), InvalidError);
});

/** What each side of a mutual TLS handshake over loopback says: "ok", or how it failed. */
async function handshake(
  server: KeyPair,
  client: KeyPair | null,
  trusted: { readonly server: string; readonly client: string },
): Promise<{ readonly server: string; readonly client: string }> {
  const listener = createServer({
    cert: server.cert,
    key: server.key,
    ca: trusted.server,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const served = new Promise<string>((resolve) => {
    listener.once("secureConnection", (socket: TLSSocket) => {
      socket.on("error", () => {});
      socket.end("hello");
      resolve("ok");
    });
    listener.once("tlsClientError", (error: Error) => resolve(`refused: ${error.message}`));
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({
    port,
    host: "127.0.0.1",
    ca: trusted.client,
    ...(client && { cert: client.cert, key: client.key }),
    checkServerIdentity: () => undefined,
  });
  const answered = new Promise<string>((resolve) => {
    let heard = "";
    socket.on("data", (data) => heard += data);
    socket.on("error", (error) => resolve(`refused: ${error.message}`));
    socket.on("close", () => resolve(heard === "hello" ? "ok" : "closed"));
  });
  const client_ = await answered;
  socket.destroy();
  const outcome = { server: await served, client: client_ };
  listener.close();
  return outcome;
}

Deno.test("two leaves of one mesh shake hands; a foreign CA and no certificate are refused", async () => {
  const [ca, foreign] = [createCa("default", life), createCa("default", life)];
  const authority = openAuthority(ca);
  const [web, api] = [issueLeaf(authority, URIS, life), issueLeaf(authority, URIS, life)];
  const stranger = issueLeaf(openAuthority(foreign), URIS, life);
  const own = { server: ca.cert, client: ca.cert };

  assert.deepEqual(await handshake(web, api, own), { server: "ok", client: "ok" });
  assert.match((await handshake(web, stranger, own)).server, /^refused/);
  assert.match((await handshake(web, null, own)).server, /^refused/);
  assert.match((await handshake(stranger, api, own)).client, /^refused/);
});

Deno.test("while a CA rotates, old and new leaves meet under both roots, in either order", async () => {
  const [before, after] = [createCa("default", life), createCa("default", life)];
  const old = issueLeaf(openAuthority(before), URIS, life);
  const fresh = issueLeaf(openAuthority(after), URIS, life);
  for (const both of [before.cert + after.cert, after.cert + before.cert]) {
    const trusted = { server: both, client: both };
    assert.deepEqual(await handshake(old, fresh, trusted), { server: "ok", client: "ok" });
    assert.deepEqual(await handshake(fresh, old, trusted), { server: "ok", client: "ok" });
  }
});

Deno.test("a server certificate is its own root", async () => {
  const hosts = { names: ["localhost"], addresses: ["127.0.0.1", "::1"] };
  const server = createServerCertificate(hosts, life);
  const ca = createCa("default", life);
  const client = issueLeaf(openAuthority(ca), URIS, life);
  const trusted = { server: ca.cert, client: server.cert };
  assert.deepEqual(await handshake(server, client, trusted), { server: "ok", client: "ok" });
});
