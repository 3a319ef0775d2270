import { constants, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { SecurityError } from "../app/errors.ts";
import { hashName, saltLength } from "./digest.ts";

/** The key that signs messages here. Mirrors `celery/security/key.py PrivateKey`. */
export class PrivateKey {
  readonly #key: KeyObject;

  /**
   * @param pem the key, encrypted or not
   * @throws SecurityError when it is none, is not RSA, or the password is not its own
   */
  constructor(pem: string | Uint8Array, password?: string | null) {
    this.#key = parsed(pem, password);
    if (this.#key.asymmetricKeyType !== "rsa") {
      throw new SecurityError("Invalid private key: Non-RSA keys are not supported.");
    }
  }

  /** An RSA-PSS signature. @param digest Celery's name of the hash: `sha256` */
  sign(data: Uint8Array, digest: string): Uint8Array {
    const key = {
      key: this.#key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: saltLength(this.#key, digest),
    };
    return sign(hashName(digest), data, key);
  }
}

function parsed(pem: string | Uint8Array, password: string | null | undefined): KeyObject {
  try {
    return createPrivateKey({ key: Buffer.from(pem), ...(password && { passphrase: password }) });
  } catch (cause) {
    throw new SecurityError(`Invalid private key: ${(cause as Error).message}`, { cause });
  }
}
