import { constants, type KeyObject, verify, X509Certificate } from "node:crypto";
import { SecurityError } from "../app/errors.ts";
import { hashName, saltLength } from "./digest.ts";

/** An X.509 certificate whose owner signs messages. Mirrors `celery/security/certificate.py Certificate`. */
export class Certificate {
  /** Issuer and serial number: by this a message names its signer. */
  readonly id: string;
  readonly #key: KeyObject;
  readonly #validTo: Date;

  /**
   * @param pem the certificate
   * @throws SecurityError when it is none, or its key is not RSA
   */
  constructor(pem: string | Uint8Array) {
    const certificate = parsed(pem);
    this.#key = certificate.publicKey;
    if (this.#key.asymmetricKeyType !== "rsa") {
      throw new SecurityError("Invalid certificate: Non-RSA certificates are not supported.");
    }
    this.#validTo = new Date(certificate.validTo);
    this.id = `${issuerText(certificate.issuer)} ${BigInt(`0x${certificate.serialNumber}`)}`;
  }

  hasExpired(now = new Date()): boolean {
    return now >= this.#validTo;
  }

  /**
   * @param digest Celery's name of the hash: `sha256`
   * @throws SecurityError when the certificate has expired, or its owner did not sign these bytes
   */
  verify(data: Uint8Array, signature: Uint8Array, digest: string): void {
    if (this.hasExpired()) throw new SecurityError(`Expired certificate: ${JSON.stringify(this.id)}`);
    const key = {
      key: this.#key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: saltLength(this.#key, digest),
    };
    if (!verify(hashName(digest), data, key, signature)) {
      throw new SecurityError(`Bad signature: not that of ${JSON.stringify(this.id)}`);
    }
  }
}

function parsed(pem: string | Uint8Array): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new SecurityError(`Invalid certificate: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The issuer's attributes in their order, as Python's cryptography gives them: the values alone.
 *
 * @param text one attribute a line, `CN=Example`, escaped as RFC 2253 has it; several of one set with ` + ` between
 */
export function issuerText(text: string): string {
  const attributes = text.split("\n").flatMap((line) => line.split(/(?<!\\) \+ (?=[\w.]+=)/));
  return attributes.map((attribute) => unescaped(attribute.slice(attribute.indexOf("=") + 1))).join(" ");
}

/** Escapes of bytes are those of UTF-8. */
function unescaped(value: string): string {
  return value.replace(/((?:\\[\dA-F]{2})+)|\\(.)/gi, (_, bytes: string | undefined, char: string) =>
    bytes ? Buffer.from(bytes.replaceAll("\\", ""), "hex").toString() : char,
  );
}
