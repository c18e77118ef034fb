import assert from "node:assert/strict";
import { serveApi } from "../../api/io/server.ts";
import { testPlane } from "../../api/plane_test.ts";
import { ensureServerCertificate } from "../../identity/io/server_certificate.ts";

/** Not with fetch: rustls takes no root as the certificate of a server. */
async function curl(...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("curl", {
    args: ["--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{exitcode}", ...args],
  }).output();
  return new TextDecoder().decode(stdout);
}

Deno.test("the API over TLS knows its administrator over HTTP/1.1 and HTTP/2", async () => {
  const dir = await Deno.makeTempDir();
  const tls = await ensureServerCertificate({ dir, hosts: ["127.0.0.1", "localhost"] });
  const server = serveApi({ hostname: "127.0.0.1", port: 0, tls }, testPlane().ports);
  const url = `https://127.0.0.1:${server.port}/globalsecrets`;
  try {
    for (const version of ["--http1.1", "--http2"]) {
      assert.equal(await curl("--cacert", tls.certFile, version, url), "200 0", version);
    }
    assert.equal(await curl(url), "000 60", "no root, no connection");
  } finally {
    await server.close();
    await Deno.remove(dir, { recursive: true });
  }
});
