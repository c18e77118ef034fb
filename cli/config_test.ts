import assert from "node:assert/strict";
import { resolveConfig, type Sources } from "./config.ts";
import { controlPlaneCommand } from "./control_plane.ts";
import { type Mode, type SettingKey, SETTINGS, settingsOf, wordOf } from "./settings.ts";

function resolve(
  mode: Mode,
  from: { flags?: Sources["flags"]; env?: Record<string, string>; file?: string } = {},
) {
  return resolveConfig(mode, {
    flags: from.flags ?? {},
    env: (variable) => from.env?.[variable],
    ...(from.file !== undefined && { file: { path: "ursa.yaml", text: from.file } }),
  });
}

const ADMINS = { users: ["mesh-system:admin"], groups: ["mesh-system:admin"] };
const ANYBODY = {
  users: [],
  groups: ["mesh-system:unauthenticated", "mesh-system:authenticated"],
};

const joining = { zone: "east", global: "grpcs://global.example:5685" };

Deno.test("resolveConfig() has Kuma's ports, loopback and a data folder by default", () => {
  const { config, warnings } = resolve("standalone");
  assert.deepEqual(config, {
    mode: "standalone",
    zone: "default",
    global: null,
    globalCa: null,
    globalCaFingerprint: null,
    zoneToken: null,
    zoneTokenFile: null,
    store: "kv",
    data: ".ursa/standalone",
    bind: "127.0.0.1",
    apiPort: 5681,
    apiTlsPort: null,
    dpPort: 5678,
    kdsPort: 5685,
    kdsPlaintext: false,
    advertise: null,
    zoneLinks: true,
    zoneLinksPort: 5686,
    zoneLinksAdvertise: null,
    dnsPort: 5653,
    dnsUpstream: [],
    vipRange: "240.0.0.0/4",
    vipPort: 80,
    vipGraceMs: 3_600_000,
    dpAuth: "token",
    zoneAuth: "token",
    zoneAuthExempt: [],
    unreachableZoneAfterMs: 0,
    reloadableTokens: false,
    endpointLeaseMs: 10_000,
    healthReportMs: 3_000,
    initialPolicies: "none",
    meshRoutingResources: false,
    localhostIsAdmin: true,
    dpTokenKeys: [],
    dpTokenSecrets: true,
    zoneTokenKeys: [],
    zoneTokenSecrets: true,
    userTokenKeys: [],
    userTokenSecrets: true,
    dpTokenIssuer: true,
    zoneTokenIssuer: true,
    userTokenIssuer: true,
    adminToken: true,
    accessAdminResources: ADMINS,
    accessGenerateDpToken: ADMINS,
    accessGenerateZoneToken: ADMINS,
    accessGenerateUserToken: ADMINS,
    accessViewConfigDump: ANYBODY,
    accessViewStats: ANYBODY,
    accessViewClusters: ANYBODY,
    accessControlPlaneMetadata: ANYBODY,
    logLevel: "info",
    logFormat: "logfmt",
  });
  assert.deepEqual(warnings, []);
  assert.equal(resolve("remote", { flags: joining }).config.data, ".ursa/zones/east");
  assert.equal(resolve("global").config.zone, "");
});

Deno.test("resolveConfig() prefers flag over environment over file over default", () => {
  const file = "apiPort: 1\ndpPort: 1\ndnsPort: 1\n";
  const env = { URSA_API_PORT: "2", URSA_DP_PORT: "2" };
  const { config } = resolve("standalone", { file, env, flags: { apiPort: "3" } });
  assert.deepEqual([config.apiPort, config.dpPort, config.dnsPort, config.vipPort], [3, 2, 1, 80]);
});

Deno.test("resolveConfig() reads every setting from a flag, a variable and the file", () => {
  const examples: Record<SettingKey, string> = {
    zone: "west",
    global: "grpcs://10.0.0.1:7000",
    globalCa: "ca.pem",
    globalCaFingerprint: `sha256:${"AB:".repeat(31)}CD`,
    zoneToken: "a.b.c",
    zoneTokenFile: "token",
    store: "memory",
    data: "/var/lib/ursa",
    bind: "::1",
    apiPort: "1",
    apiTlsPort: "7",
    dpPort: "2",
    kdsPort: "3",
    kdsPlaintext: "true",
    advertise: "global.example:5685",
    zoneLinks: "false",
    zoneLinksPort: "8",
    zoneLinksAdvertise: "east.example:443",
    dnsPort: "4",
    dnsUpstream: "9.9.9.9,[::1]:5353",
    vipRange: "127.200.0.0/24",
    vipPort: "8080",
    vipGraceMs: "1m30s",
    dpAuth: "none",
    zoneAuth: "none",
    zoneAuthExempt: "kuma-1,kuma-2",
    unreachableZoneAfterMs: "1m",
    reloadableTokens: "true",
    endpointLeaseMs: "30s",
    healthReportMs: "1s",
    initialPolicies: "kuma",
    meshRoutingResources: "true",
    localhostIsAdmin: "false",
    dpTokenKeys: "hr=hr.pem,shop/2=shop.pem",
    dpTokenSecrets: "false",
    zoneTokenKeys: "hr=hr.pem",
    zoneTokenSecrets: "false",
    userTokenKeys: "hr=hr.pem,2=/keys/2=b.pem",
    userTokenSecrets: "false",
    dpTokenIssuer: "false",
    zoneTokenIssuer: "false",
    userTokenIssuer: "false",
    adminToken: "false",
    accessAdminResources: "user:jane,group:ops",
    accessGenerateDpToken: "group:ops",
    accessGenerateZoneToken: "group:ops",
    accessGenerateUserToken: "user:jane",
    accessViewConfigDump: "group:ops",
    accessViewStats: "group:ops",
    accessViewClusters: "group:ops",
    accessControlPlaneMetadata: "group:ops",
    logLevel: "debug",
    logFormat: "json",
  };
  // Each says what another says too.
  const either = [["globalCa", "zoneToken"], ["globalCaFingerprint", "zoneTokenFile"]];
  for (const mode of ["global", "remote", "standalone"] as const) {
    for (const left of either) {
      const own = settingsOf(mode).filter((key) => !left.includes(key))
        .map((key) => [wordOf(key), examples[key]] as const);
      const flags = Object.fromEntries(own);
      const env = Object.fromEntries(own.map(([word, text]) => [variable(word), text]));
      const file = JSON.stringify(flags);
      const byFlags = resolve(mode, { flags }).config;
      assert.deepEqual(resolve(mode, { env }).config, byFlags);
      assert.deepEqual(resolve(mode, { file }).config, byFlags);
    }
  }
  const { config } = resolve("remote", {
    flags: { ...joining, dnsUpstream: "9.9.9.9,[::1]:5353" },
  });
  assert.deepEqual(config.dnsUpstream, ["9.9.9.9:53", "[::1]:5353"]);
  const { userTokenKeys, accessAdminResources } = resolve("global", {
    flags: { userTokenKeys: "hr=hr.pem, 2=/keys/2=b.pem", accessAdminResources: "user:jane" },
  }).config;
  assert.deepEqual(userTokenKeys, [
    { keyId: "hr", path: "hr.pem" },
    { keyId: "2", path: "/keys/2=b.pem" },
  ]);
  const { dpTokenKeys } = resolve("standalone", {
    flags: { dpTokenKeys: "hr=hr.pem,shop/2=shop/2.pem" },
  }).config;
  assert.deepEqual(dpTokenKeys, [
    { keyId: "hr", path: "hr.pem" },
    { mesh: "shop", keyId: "2", path: "shop/2.pem" },
  ]);
  assert.deepEqual(accessAdminResources, { users: ["jane"], groups: [] });
});

Deno.test("resolveConfig() lists all problems at once, each with its place", () => {
  assert.throws(
    () =>
      resolve("remote", {
        flags: { apiPort: "70000", vipRange: "240.0.0.0" },
        env: { URSA_ENDPOINT_LEASE: "ten seconds", URSA_BIND: "localhost" },
        file: "logLevel: loud\napiport: 1\nkdsPort: 5685\nfrobnicate: 1\n",
      }),
    {
      name: "InvalidError",
      message: `Cannot start remote: 10 violations
  ursa.yaml: apiport: is not a setting; did you mean apiPort?
  ursa.yaml: kdsPort: is a setting of global, not of remote
  ursa.yaml: frobnicate: is not a setting
  --zone: is needed by remote
  --global: is needed by remote
  URSA_BIND: must be an IP address, is "localhost"
  --api-port: must be a port from 0 to 65535, is "70000"
  --vip-range: must be a range such as 240.0.0.0/4, is "240.0.0.0"
  URSA_ENDPOINT_LEASE: must be a duration such as 500ms, 10s or 1h30m, is "ten seconds"
  ursa.yaml: logLevel: must be one of debug, info, warn, error, is "loud"`,
    },
  );
});

const REFUSED: readonly [Mode, Record<string, string>, RegExp][] = [
  ["standalone", { dpAuth: "tokens" }, /--dp-auth: must be one of token, none, is "tokens"/],
  ["remote", { ...joining, zoneToken: "a.b.c", zoneTokenFile: "f" }, /give one of them/],
  ["remote", { ...joining, global: "grpc://x", zoneToken: "a.b.c" }, /could read it/],
  ["remote", { ...joining, globalCaFingerprint: "sha256:12" }, /must be sha256: and 64 hex/],
  ["global", { advertise: "grpcs://global" }, /--advertise: must be HOST or HOST:PORT/],
  ["standalone", { bind: "127.1" }, /must be an IP address/],
  ["standalone", { zone: "East" }, /--zone: must be lower-case/],
  ["remote", { ...joining, zone: "east.1" }, /--zone: must be lower-case letters, digits and -/],
  ["remote", { ...joining, zone: "e".repeat(64) }, /--zone: .*at most 63/],
  ["global", { unreachableZoneAfter: "5s" }, /--unreachable-zone-after: must be 0 or at least 10s/],
  ["global", { zoneAuthExempt: "kuma.1" }, /--zone-auth-exempt: must be a list of zones/],
  ["standalone", { vipPort: "0" }, /from 1 to 65535/],
  ["standalone", { dnsUpstream: "9.9.9.9,dns.example" }, /has "dns.example"/],
  ["standalone", { data: "" }, /--data: must not be empty/],
  ["standalone", { dpAuth: "token", dpTokenSecrets: "false" }, /name some with --dp-token-keys/],
  ["global", { zoneAuth: "token", zoneTokenSecrets: "false" }, /with --zone-token-keys/],
  ["standalone", { dpTokenKeys: "/hr=hr.pem" }, /must be a list of \[MESH\/\]KEY-ID=FILE/],
  ["global", { localhostIsAdmin: "yes" }, /must be one of true, false/],
  ["global", { userTokenKeys: "key.pem" }, /must be a list of KEY-ID=FILE, has "key.pem"/],
  ["global", { accessViewStats: "jane" }, /user:NAME and group:NAME, has "jane"/],
  ["remote", { ...joining, global: "https://global" }, /must be grpcs:\/\/HOST:PORT/],
  ["remote", { ...joining, global: "grpcs://global/path" }, /must be grpcs:\/\/HOST:PORT/],
];

for (const [mode, flags, message] of REFUSED) {
  Deno.test(`resolveConfig() refuses ${mode} ${JSON.stringify(flags)}`, () => {
    assert.throws(() => resolve(mode, { flags }), { name: "InvalidError", message });
  });
}

Deno.test("resolveConfig() warns where it does what was asked for by name", () => {
  const open = resolve("standalone", { flags: { bind: "10.0.0.1", dpAuth: "none" } });
  assert.match(
    open.warnings.join(),
    /Anybody who reaches 10\.0\.0\.1 can join as a dataplane \(--dp-auth none\)/,
  );
  assert.match(open.warnings.join(), /those that a proxy on it passes on/);
  const closed = resolve("standalone", {
    flags: { bind: "10.0.0.1", dpAuth: "none", localhostIsAdmin: "false" },
  });
  assert.doesNotMatch(closed.warnings.join(), /the administrator's/);
  const plain = resolve("remote", { flags: { ...joining, global: "grpc://global" } });
  assert.match(plain.warnings.join(), /not encrypted/);
  assert.equal(plain.config.global, "grpc://global:5685");
  assert.match(
    resolve("global", { flags: { kdsPlaintext: true } }).warnings.join(),
    /without TLS/,
  );
});

Deno.test("resolveConfig() takes an empty file, and refuses one that is no mapping", () => {
  assert.equal(resolve("global", { file: "" }).config.apiPort, 5681);
  assert.throws(() => resolve("global", { file: "- 1" }), /must be a YAML mapping/);
  assert.throws(() => resolve("global", { file: "a: [" }), /ursa\.yaml: /);
  assert.throws(() => resolve("global", { file: "data: {a: 1}" }), /must be one value/);
});

Deno.test("controlPlaneCommand() hands the configuration over and tells every flag", async () => {
  const started: unknown[] = [];
  const command = controlPlaneCommand("remote", ({ config }) => {
    started.push(config.zone, config.apiPort);
    return Promise.resolve();
  });
  await command.parseAsync(
    ["--zone", "east", "--global", "grpcs://localhost:5685", "--api-port", "0"],
    { from: "user" },
  );
  assert.deepEqual(started, ["east", 0]);
  const help = command.helpInformation();
  for (const key of settingsOf("remote")) assert.ok(help.includes(`--${kebab(wordOf(key))} `), key);
  assert.ok(!help.includes("--kds-port"));
});

Deno.test("SETTINGS names each setting's modes and help", () => {
  for (const [key, { modes, help }] of Object.entries(SETTINGS)) {
    assert.ok(modes.length > 0 && help !== "", key);
  }
});

function kebab(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function variable(word: string): string {
  return `URSA_${kebab(word).replaceAll("-", "_").toUpperCase()}`;
}
