// Small RSA keys, the same in every process: their bytes are on the wire, and so in a run's hash.

import { createPrivateKey } from "node:crypto";
import { privateKeyPem, publicKeyPem } from "../core/rsa_key.ts";
import { Dice } from "./dice.ts";

export interface SimKey {
  /** As a signing key's secret holds it. */
  readonly pem: string;
  readonly publicPem: string;
}

/** Enough for RS256, and a hundredth of the work of a real one. */
const PRIME_BITS = 256;
const PUBLIC_EXPONENT = 65_537n;
/** Several histories of several meshes have a key of their own each. */
const KEYS = 12;
const ROUNDS = 24;

const made: (SimKey | undefined)[] = [];

/** The `n`-th; there are only so many. */
export function simKey(n: number): SimKey {
  return made[n % KEYS] ??= newKey(new Dice(n % KEYS, "signing key"));
}

/** One that no control plane ever has. */
export function forgersKey(): SimKey {
  return made[KEYS] ??= newKey(new Dice(KEYS, "signing key"));
}

function newKey(dice: Dice): SimKey {
  const [p, q] = [prime(dice), prime(dice)];
  const d = inverse(PUBLIC_EXPONENT, (p - 1n) * (q - 1n));
  const jwk = {
    kty: "RSA",
    n: text(p * q),
    e: text(PUBLIC_EXPONENT),
    d: text(d),
    p: text(p),
    q: text(q),
    dp: text(d % (p - 1n)),
    dq: text(d % (q - 1n)),
    qi: text(inverse(q, p)),
  };
  const key = createPrivateKey({ key: jwk, format: "jwk" });
  return { pem: privateKeyPem(key), publicPem: publicKeyPem(key) };
}

/** The two highest bits are set, so that a product of two has twice as many. */
function prime(dice: Dice): bigint {
  for (;;) {
    const candidate = random(dice) | (3n << BigInt(PRIME_BITS - 2)) | 1n;
    if (candidate % PUBLIC_EXPONENT !== 1n && isPrime(candidate, dice)) return candidate;
  }
}

function random(dice: Dice): bigint {
  let value = 0n;
  for (let bits = 0; bits < PRIME_BITS; bits += 32) {
    value = value << 32n | BigInt(Math.floor(dice.random() * 2 ** 32));
  }
  return value;
}

/** Miller and Rabin. */
function isPrime(candidate: bigint, dice: Dice): boolean {
  for (const small of [3n, 5n, 7n, 11n, 13n, 17n, 19n, 23n, 29n, 31n]) {
    if (candidate % small === 0n) return false;
  }
  let [odd, twos] = [candidate - 1n, 0];
  for (; (odd & 1n) === 0n; odd >>= 1n) twos++;
  for (let round = 0; round < ROUNDS; round++) {
    let x = power(random(dice) % (candidate - 3n) + 2n, odd, candidate);
    if (x === 1n || x === candidate - 1n) continue;
    let isComposite = true;
    for (let n = 1; n < twos && isComposite; n++) {
      x = x * x % candidate;
      if (x === candidate - 1n) isComposite = false;
    }
    if (isComposite) return false;
  }
  return true;
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let b = base % modulus, e = exponent; e > 0n; e >>= 1n, b = b * b % modulus) {
    if (e & 1n) result = result * b % modulus;
  }
  return result;
}

function inverse(value: bigint, modulus: bigint): bigint {
  let [r, next, x, xNext] = [modulus, value % modulus, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [x, xNext] = [xNext, x - quotient * xNext];
  }
  return (x + modulus) % modulus;
}

/** RFC 7518 §2: base64url of the bytes, the highest first. */
function text(value: bigint): string {
  const hex = value.toString(16);
  return Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`)
    .toBase64({ alphabet: "base64url", omitPadding: true });
}
