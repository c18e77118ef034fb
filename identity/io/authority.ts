// Keys and certificates: assembled as ASN.1 with node-forge, made and signed natively.
//
// node-forge knows no ECDSA and has a history of signature forgeries, so it only encodes here:
// keys, signatures and every check are node:crypto's.

import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import forge from "node-forge";
import { InvalidError } from "../../core/errors.ts";
import type { KeyPair } from "../ca.ts";
import type { IssuedLeaf } from "../signing.ts";

const { asn1 } = forge;
// deno-lint-ignore no-explicit-any -- node-forge ships no types
type Asn1 = any;

/** Peers whose clocks are behind ours must accept a new certificate; kuma@v2.13.10:pkg/core/ca/issuer. */
const BACKDATED_MS = 10_000;

const ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const RSA_SHA256 = "1.2.840.113549.1.1.11";
const SUBJECT_KEY_IDENTIFIER = "2.5.29.14";

export interface Lifetime {
  readonly nowMs: number;
  readonly lifetimeMs: number;
}

/** A certificate authority, ready to sign. */
export interface Authority {
  readonly key: KeyObject;
  readonly algorithm: string;
  /** The issuer's name as encoded in its own certificate: names are compared byte by byte. */
  readonly name: Asn1;
  readonly keyIdentifier: string | null;
  readonly expiresAtMs: number;
}

/** A CA of its own for a mesh. Subject and SAN as Kuma's, so that its tools recognise it. */
export function createCa(mesh: string, life: Lifetime): KeyPair {
  const { privateKey, publicKey } = newKey();
  const subject = [["organizationName", "Kuma"], ["organizationalUnitName", "Mesh"], [
    "commonName",
    mesh,
  ]] as const;
  return selfSigned({ privateKey, publicKey }, life, {
    subject,
    extensions: [
      { name: "basicConstraints", critical: true, cA: true },
      { name: "keyUsage", critical: true, keyCertSign: true, cRLSign: true },
      { name: "subjectAltName", altNames: [uri(`spiffe://${mesh}`)] },
    ],
  });
}

/** The CA of a zone's Envoy admin listeners, with the subject that Kuma gives it. */
export function createAdminCa(life: Lifetime): KeyPair {
  return selfSigned(newKey(), life, {
    subject: [["organizationName", "Kuma"], ["organizationalUnitName", "Mesh"], [
      "commonName",
      "Envoy Admin CA",
    ]],
    extensions: [
      { name: "basicConstraints", critical: true, cA: true },
      { name: "keyUsage", critical: true, keyCertSign: true, cRLSign: true },
    ],
  });
}

/** One certificate that serves and is its own root: peers are given this very one to trust. */
export function createServerCertificate(hosts: Hosts, life: Lifetime): KeyPair {
  return selfSigned(newKey(), life, {
    subject: [["commonName", "ursa"]],
    extensions: [
      { name: "basicConstraints", critical: true, cA: true },
      { name: "keyUsage", critical: true, digitalSignature: true, keyCertSign: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          ...hosts.names.map((value) => ({ type: 2, value })),
          ...hosts.addresses.map((ip) => ({ type: 7, ip })),
        ],
      },
    ],
  });
}

/** By which one zone shows itself to others, at both ends of a connection: it signs nothing. */
export function createLinkCertificate(host: string, life: Lifetime): KeyPair {
  return selfSigned(newKey(), life, {
    subject: [["commonName", host]],
    extensions: [
      { name: "basicConstraints", critical: true },
      { name: "keyUsage", critical: true, digitalSignature: true },
      { name: "extKeyUsage", serverAuth: true, clientAuth: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: host }] },
    ],
  });
}

export interface Hosts {
  readonly names: readonly string[];
  readonly addresses: readonly string[];
}

/** Reads a CA from PEM. Throws InvalidError when the two do not belong together or it is no CA. */
export function openAuthority({ cert, key }: KeyPair): Authority {
  const { certificate, privateKey } = parsePair(cert, key);
  if (!certificate.ca) throw new InvalidError("the CA certificate is not one: basicConstraints");
  const tbs = asn1.fromDer(certificate.raw.toString("latin1")).value[0].value;
  return {
    key: privateKey,
    algorithm: algorithmOf(privateKey),
    name: tbs[5],
    keyIdentifier: keyIdentifierOf(tbs[tbs.length - 1]),
    expiresAtMs: Date.parse(certificate.validTo),
  };
}

/** A certificate with a new key for the given identities. It never outlives its CA. */
export function issueLeaf(
  authority: Authority,
  uris: readonly string[],
  life: Lifetime,
): IssuedLeaf {
  return issue(authority, life, {
    usage: { serverAuth: true, clientAuth: true },
    altNames: uris.map(uri),
  });
}

/** For one end of a connection, known by a DNS name. */
export function issueNamed(
  authority: Authority,
  { name, usage }: { readonly name: string; readonly usage: "serverAuth" | "clientAuth" },
  life: Lifetime,
): IssuedLeaf {
  return issue(authority, life, {
    usage: { [usage]: true },
    altNames: [{ type: 2, value: name }],
  });
}

function issue(
  authority: Authority,
  life: Lifetime,
  { usage, altNames }: { readonly usage: Asn1; readonly altNames: readonly Asn1[] },
): IssuedLeaf {
  if (authority.expiresAtMs <= life.nowMs) {
    const since = new Date(authority.expiresAtMs).toISOString();
    throw new InvalidError(`the CA certificate expired at ${since}`);
  }
  const { privateKey, publicKey } = newKey();
  const expiresAtMs = Math.min(life.nowMs + life.lifetimeMs, authority.expiresAtMs);
  const cert = assemble({
    issuer: authority,
    subject: name([]),
    publicKey,
    nowMs: life.nowMs,
    expiresAtMs,
    extensions: [
      { name: "basicConstraints", critical: true },
      {
        name: "keyUsage",
        critical: true,
        digitalSignature: true,
        keyEncipherment: true,
        keyAgreement: true,
      },
      { name: "extKeyUsage", ...usage },
      // RFC 5280 §4.2.1.6: critical where the subject is empty.
      { name: "subjectAltName", critical: true, altNames },
    ],
  });
  return { cert, key: pemOf(privateKey), expiresAtMs };
}

/** The parsed halves of a PEM pair. Throws InvalidError unless they belong together. */
export function parsePair(
  cert: string,
  key: string,
): { readonly certificate: X509Certificate; readonly privateKey: KeyObject } {
  let certificate: X509Certificate;
  let privateKey: KeyObject;
  try {
    certificate = new X509Certificate(cert);
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw new InvalidError(`cannot read the certificate or its key: ${(error as Error).message}`);
  }
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new InvalidError("the private key is not the certificate's");
  }
  return { certificate, privateKey };
}

interface Keys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

function newKey(): Keys {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function selfSigned(
  keys: Keys,
  life: Lifetime,
  content: {
    readonly subject: readonly (readonly [string, string])[];
    readonly extensions: readonly Asn1[];
  },
): KeyPair {
  const subject = name(content.subject);
  const cert = assemble({
    issuer: {
      key: keys.privateKey,
      algorithm: ECDSA_SHA256,
      name: subject,
      keyIdentifier: keyIdentifier(keys.publicKey),
    },
    subject,
    publicKey: keys.publicKey,
    nowMs: life.nowMs,
    expiresAtMs: life.nowMs + life.lifetimeMs,
    extensions: content.extensions,
  });
  return { cert, key: pemOf(keys.privateKey) };
}

interface Content {
  readonly issuer: Omit<Authority, "expiresAtMs">;
  readonly subject: Asn1;
  readonly publicKey: KeyObject;
  readonly nowMs: number;
  readonly expiresAtMs: number;
  readonly extensions: readonly Asn1[];
}

/**
 * Takes forge's TBSCertificate and replaces what forge cannot say: the signature algorithm, the
 * names (copied as encoded) and the public key.
 */
function assemble(content: Content): string {
  const { issuer } = content;
  const template = forge.pki.createCertificate();
  template.serialNumber = serialNumber();
  template.validity.notBefore = new Date(content.nowMs - BACKDATED_MS);
  template.validity.notAfter = new Date(content.expiresAtMs);
  template.publicKey = PLACEHOLDER;
  template.siginfo.algorithmOid = issuer.algorithm;
  template.setExtensions([...content.extensions, ...keyIdentifiers(content)]);
  const tbs = forge.pki.getTBSCertificate(template);
  tbs.value[2] = algorithm(issuer.algorithm);
  tbs.value[3] = issuer.name;
  tbs.value[5] = content.subject;
  const spki = content.publicKey.export({ type: "spki", format: "der" });
  tbs.value[6] = asn1.fromDer(spki.toString("latin1"));
  const signature = sign("sha256", Buffer.from(asn1.toDer(tbs).getBytes(), "latin1"), issuer.key);
  const der = asn1.toDer(sequence([
    tbs,
    algorithm(issuer.algorithm),
    primitive(asn1.Type.BITSTRING, `\0${signature.toString("latin1")}`),
  ])).getBytes();
  return forge.pem.encode({ type: "CERTIFICATE", body: der }).replaceAll("\r\n", "\n");
}

/** What forge encodes as the public key until ours takes its place. */
const PLACEHOLDER = {
  n: new forge.jsbn.BigInteger("1"),
  e: new forge.jsbn.BigInteger("1"),
};

/** Random, positive, and of constant length: RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** Two CAs of one mesh have the same name; key identifiers tell verifiers which of them signed. */
function keyIdentifiers({ publicKey, issuer }: Content): readonly Asn1[] {
  const own = primitive(asn1.Type.OCTETSTRING, keyIdentifier(publicKey));
  const subject = { id: SUBJECT_KEY_IDENTIFIER, name: "subjectKeyIdentifier", value: own };
  if (issuer.keyIdentifier === null) return [subject];
  const authority = asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, false, issuer.keyIdentifier);
  return [subject, { name: "authorityKeyIdentifier", value: sequence([authority]) }];
}

/** RFC 7093 §2, method 1: the first 160 bits of SHA-256 over the public key. */
function keyIdentifier(key: KeyObject): string {
  const spki = asn1.fromDer(key.export({ type: "spki", format: "der" }).toString("latin1"));
  const bits: string = spki.value[1].bitStringContents ?? spki.value[1].value;
  const digest = createHash("sha256").update(Buffer.from(bits.slice(1), "latin1")).digest();
  return digest.subarray(0, 20).toString("latin1");
}

function keyIdentifierOf(extensions: Asn1): string | null {
  if (extensions.tagClass !== asn1.Class.CONTEXT_SPECIFIC || extensions.type !== 3) return null;
  for (const { value } of extensions.value[0].value) {
    if (asn1.derToOid(value[0].value) !== SUBJECT_KEY_IDENTIFIER) continue;
    const wrapped = value[value.length - 1].value;
    return typeof wrapped === "string" ? asn1.fromDer(wrapped).value : wrapped[0].value;
  }
  return null;
}

function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case "ec":
      return ECDSA_SHA256;
    case "rsa":
      return RSA_SHA256; // A CA that a Kuma global made.
    default:
      throw new InvalidError(`CA keys of type ${key.asymmetricKeyType} are not supported`);
  }
}

/** RFC 5758 §3.2: no parameters with ECDSA; RFC 4055 §5: NULL with RSA. */
function algorithm(oid: string): Asn1 {
  const id = primitive(asn1.Type.OID, asn1.oidToDer(oid).getBytes());
  return sequence(oid === RSA_SHA256 ? [id, primitive(asn1.Type.NULL, "")] : [id]);
}

function name(attributes: readonly (readonly [string, string])[]): Asn1 {
  return sequence(
    attributes.map(([type, value]) =>
      asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [
        sequence([
          primitive(asn1.Type.OID, asn1.oidToDer(forge.pki.oids[type]).getBytes()),
          primitive(asn1.Type.UTF8, forge.util.encodeUtf8(value)),
        ]),
      ])
    ),
  );
}

function uri(value: string): { readonly type: 6; readonly value: string } {
  // IA5String: anything else would be cut to bytes and name another identity.
  for (const char of value) {
    if (char <= " " || char > "~") throw new InvalidError(`"${value}" cannot be a URI SAN`);
  }
  return { type: 6, value };
}

function sequence(value: readonly Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, value);
}

function primitive(type: number, value: string): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, value);
}
