// Checks 5 and 8: certificates open only the doors of their own mesh.

import tls from "node:tls";
import { Buffer } from "node:buffer";
import type { KeyPair } from "../../../identity/ca.ts";
import { createCa, issueLeaf, openAuthority } from "../../../identity/io/authority.ts";
import type { Proxy } from "../cluster.ts";
import { allowAll, meshWithMtls } from "../resources.ts";
import type { Rest } from "../rest.ts";
import { until } from "../until.ts";
import { type Check, expect } from "./check.ts";

export const twoMeshes: Check = {
  name: "two meshes share nothing: no certificate, no CA, no name in the other's configuration",
  async run({ home, billing, cluster }) {
    const { policies } = cluster;
    await policies.put("/meshes/finance", meshWithMtls("finance"));
    await policies.put("/meshes/finance/traffic-permissions/everyone", allowAll("finance"));
    const ledger = await home.startWorkload({ service: "ledger", mesh: "finance" });
    try {
      const [defaultCa, financeCa] = await Promise.all([
        caOf(policies, "default"),
        caOf(policies, "finance"),
      ]);
      expect(defaultCa.cert !== financeCa.cert, "both meshes have the same CA");
      const own = clientCertificate(financeCa, "finance", "auditor");
      const foreign = clientCertificate(defaultCa, "default", "frontend");
      await until("answer of ledger to its own mesh", async () => {
        const text = await askOverTls(ledger.proxy, own);
        return text.startsWith("HTTP/1.1 200") || `answered: ${text.slice(0, 80)}`;
      });
      const refused = await askOverTls(ledger.proxy, foreign);
      expect(refused === "", `ledger answers a certificate of mesh default: ${refused}`);
      const reverse = await askOverTls(billing.proxy, own);
      expect(reverse === "", `billing answers a certificate of mesh finance: ${reverse}`);
      const dumps = await foreignWords(cluster.proxies, ledger.proxy);
      return { figure: `${dumps} config dumps hold no name of the other mesh` };
    } finally {
      await ledger.stop();
    }
  },
};

export const mutualTls: Check = {
  name: "billing serves nothing without a certificate, nor with a foreign one",
  async run({ billing, cluster }) {
    const { proxy } = billing;
    const own = clientCertificate(await caOf(cluster.policies, "default"), "default", "frontend");
    await until("answer of billing to a certificate of its mesh", async () => {
      const text = await askOverTls(proxy, own);
      return text.startsWith("HTTP/1.1 200") || `answered: ${text.slice(0, 80)}`;
    });
    const stranger = clientCertificate(
      createCa("default", { nowMs: Date.now(), lifetimeMs: 3_600_000 }),
      "default",
      "frontend",
    );
    const attempts = {
      "without TLS": await askPlainly(proxy),
      "without a certificate": await askOverTls(proxy, null),
      "with a foreign certificate": await askOverTls(proxy, stranger),
    };
    for (const [how, text] of Object.entries(attempts)) {
      expect(!text.includes("HTTP/1.1 200"), `billing answers ${how}: ${text.slice(0, 80)}`);
    }
    return { figure: `${Object.keys(attempts).length} ways refused, its own mesh answered` };
  },
};

/** The mesh's CA with its key, as only administrators can read it. */
async function caOf(rest: Rest, mesh: string): Promise<KeyPair> {
  const read = async (name: string) => {
    const { data } = await rest.get<{ data: string }>(`/meshes/${mesh}/secrets/${name}`);
    return Buffer.from(data, "base64").toString();
  };
  return {
    cert: await read(`${mesh}.ca-builtin-cert-ca-1`),
    key: await read(`${mesh}.ca-builtin-key-ca-1`),
  };
}

function clientCertificate(ca: KeyPair, mesh: string, service: string): KeyPair {
  const uris = [`spiffe://${mesh}/${service}`, `kuma://kuma.io/service/${service}`];
  return issueLeaf(openAuthority(ca), uris, { nowMs: Date.now(), lifetimeMs: 3_600_000 });
}

const REQUEST = "GET / HTTP/1.1\r\nhost: check\r\nconnection: close\r\n\r\n";

/** All that the proxy says to a request: "" when it refuses the connection. */
function askOverTls(proxy: Proxy, identity: KeyPair | null): Promise<string> {
  return new Promise((done) => {
    let text = "";
    // The check is about whom the proxy lets in; whom it is itself, others check.
    const socket = tls.connect({
      host: proxy.address,
      port: proxy.port,
      rejectUnauthorized: false,
      ALPNProtocols: ["kuma", "http/1.1"],
      ...(identity ? { cert: identity.cert, key: identity.key } : {}),
    }, () => socket.write(REQUEST));
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("data", (part: Uint8Array) => text += Buffer.from(part).toString());
    socket.on("error", () => {});
    socket.on("close", () => done(text));
  });
}

async function askPlainly(proxy: Proxy): Promise<string> {
  const connection = await Deno.connect({ hostname: proxy.address, port: proxy.port });
  try {
    await connection.write(new TextEncoder().encode(REQUEST));
    return await new Response(connection.readable).text();
  } catch {
    return "";
  }
}

/** Dumps looked at; throws at the first word of the other mesh. */
async function foreignWords(proxies: readonly Proxy[], ledger: Proxy): Promise<number> {
  for (const proxy of proxies) {
    const response = await fetch(`${proxy.admin}/config_dump?include_eds`);
    const dump = await response.text();
    // An ingress carries every mesh by design: it reads only the names of services.
    if (proxy.name.startsWith("ingress-")) continue;
    const foreign = proxy.name === ledger.name
      ? /billing|backend|frontend|mesh_ca:secret:default/
      : /ledger|finance/;
    const found = foreign.exec(dump);
    expect(!found, `the configuration of ${proxy.name} holds ${found?.[0]} of the other mesh`);
  }
  return proxies.filter(({ name }) => !name.startsWith("ingress-")).length;
}
