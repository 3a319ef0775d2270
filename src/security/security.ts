import { readFileSync } from "node:fs";
import type { Signing } from "../../protocol/serialization/auth.ts";
import { ImproperlyConfigured, SecurityError } from "../app/errors.ts";
import { readCertStore } from "./cert-store.ts";
import { Certificate } from "./certificate.ts";
import { hashLength } from "./digest.ts";
import { PrivateKey } from "./private-key.ts";

/** Where the keys are. */
export interface SecurityFiles {
  /** Path of the private key, PEM. */
  key: string | null;
  keyPassword: string | null;
  /** Path of its certificate, PEM. */
  certificate: string | null;
  /** Path of a folder of certificates, or a pattern. */
  certStore: string;
  /** Name of a hash: `sha256`. */
  digest: string;
}

/**
 * Signs with one key and verifies with a store of certificates, all read from files at once.
 * Mirrors `celery/security/serialization.py register_auth`.
 *
 * @throws ImproperlyConfigured for a file that cannot be read, or an unknown hash; SecurityError for a key or a
 *   certificate that cannot be used
 */
export function signingWith({ key, keyPassword, certificate, certStore, digest }: SecurityFiles): Signing {
  hashLength(digest);
  const store = readCertStore(certStore);
  const privateKey = key ? new PrivateKey(readPem("securityKey", key), keyPassword) : null;
  const own = certificate ? new Certificate(readPem("securityCertificate", certificate)) : null;
  return {
    signer: own?.id ?? null,
    sign(body) {
      if (!privateKey || !own) throw new SecurityError("signing needs securityKey and securityCertificate");
      return privateKey.sign(body, digest);
    },
    verify(signer, body, signature) {
      const known = store.get(signer);
      if (!known) throw new SecurityError(`Unknown certificate: ${JSON.stringify(signer)}`);
      known.verify(body, signature, digest);
    },
  };
}

function readPem(setting: string, path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ImproperlyConfigured(`${setting} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
