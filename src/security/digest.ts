import { createHash, type KeyObject } from "node:crypto";
import { ImproperlyConfigured } from "../app/errors.ts";

/**
 * Node's name of a hash.
 * @param digest as `securityDigest` has it, in the words of Python's cryptography: `sha256`, `SHA3_512`
 */
export function hashName(digest: string): string {
  return digest.toLowerCase().replaceAll("_", "-");
}

/**
 * Bytes of salt in a signature: as many as fit, as `celery/security/key.py` has it.
 * @throws ImproperlyConfigured when the key is too short for the hash
 */
export function saltLength(key: KeyObject, digest: string): number {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  const length = Math.ceil((bits - 1) / 8) - hashLength(digest) - 2;
  if (length < 0) throw new ImproperlyConfigured(`an RSA key of ${bits} bits is too short for ${digest}`);
  return length;
}

/** Bytes of a hash. @throws ImproperlyConfigured when there is none of that name */
export function hashLength(digest: string): number {
  try {
    return createHash(hashName(digest)).digest().length;
  } catch (cause) {
    throw new ImproperlyConfigured(`securityDigest cannot be ${JSON.stringify(digest)}: no such hash`, { cause });
  }
}
