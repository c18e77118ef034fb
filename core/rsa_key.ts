// RSA keys as secrets hold them: PEM, or the bare DER of old.

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";

/** A key, or what is wrong with the bytes. */
export type KeyReading =
  | { readonly ok: true; readonly key: KeyObject }
  | { readonly ok: false; readonly reason: string };

const PRIVATE = "RSA PRIVATE KEY";
const PUBLIC = "RSA PUBLIC KEY";
const PUBLIC_PKIX = "PUBLIC KEY";

/** PKCS#1, as PEM or DER: what Kuma's control planes write. kuma@v2.13.10:pkg/util/rsa. */
export function readPrivateKey(bytes: Uint8Array): KeyReading {
  const { label, base64 } = pemBlock(bytes) ?? bare(PRIVATE, bytes);
  if (label !== PRIVATE) return wrongLabel(label, [PRIVATE]);
  return reading(() => createPrivateKey(pem(label, base64)));
}

/** PKCS#1 as PEM or DER, or PKIX as PEM. */
export function readPublicKey(bytes: Uint8Array): KeyReading {
  const { label, base64 } = pemBlock(bytes) ?? bare(PUBLIC, bytes);
  if (label !== PUBLIC && label !== PUBLIC_PKIX) return wrongLabel(label, [PUBLIC, PUBLIC_PKIX]);
  return reading(() => createPublicKey(pem(label, base64)));
}

export function publicHalf(privateKey: KeyObject): KeyObject {
  return createPublicKey(privateKey);
}

/** As Kuma's `generate signing-key` prints it. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: "pkcs1", format: "pem" }).toString();
}

/** As Kuma's `generate public-key` prints it, and as zones are given it. */
export function publicKeyPem(key: KeyObject): string {
  const half = key.type === "private" ? publicHalf(key) : key;
  return half.export({ type: "pkcs1", format: "pem" }).toString();
}

interface Block {
  readonly label: string;
  readonly base64: string;
}

/** The first block; text around it is nobody's. */
function pemBlock(bytes: Uint8Array): Block | null {
  const found = /-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/
    .exec(new TextDecoder("latin1").decode(bytes));
  return found ? { label: found[1] ?? "", base64: found[2] ?? "" } : null;
}

function bare(label: string, bytes: Uint8Array): Block {
  return { label, base64: bytes.toBase64() };
}

function pem(label: string, base64: string): string {
  const lines = base64.replace(/\s/g, "").match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

function wrongLabel(label: string, wanted: readonly string[]): KeyReading {
  return { ok: false, reason: `holds a ${label}, and must hold a ${wanted.join(" or a ")}` };
}

function reading(read: () => KeyObject): KeyReading {
  try {
    const key = read();
    if (key.asymmetricKeyType === "rsa") return { ok: true, key };
    return { ok: false, reason: `holds a key of type ${key.asymmetricKeyType}, and must hold RSA` };
  } catch (error) {
    return { ok: false, reason: `holds no readable RSA key: ${(error as Error).message}` };
  }
}
