import { SecurityError } from "../errors.ts";
import { base64Decode, base64Encode, utf8Decode, utf8Encode } from "./bytes.ts";
import type { SerializerRegistry } from "./registry.ts";
import type { Encoded, Serializer } from "./serializer.ts";

/** What signs and verifies; the certificates and the cryptography behind it are not this module's. */
export interface Signing {
  /** Who signs here: the id of the certificate; null where there is no key to sign with. */
  readonly signer: string | null;
  /** @throws SecurityError when there is no key to sign with */
  sign(body: Uint8Array): Uint8Array;
  /** @throws SecurityError for an unknown signer, an expired certificate, or a signature that is not of this body */
  verify(signer: string, body: Uint8Array, signature: Uint8Array): void;
}

/** The content of a signed message, and who signed it. */
export interface SignedContent {
  signer: string;
  signature: Uint8Array;
  content: Encoded;
}

const SEPARATOR = [0, 1] as const;

/**
 * `auth`: what another serializer wrote, with a signature of it. Mirrors `celery/security/serialization.py
 * SecureSerializer`.
 *
 * What was signed is read by whatever serializer it names, as in Celery: whoever may sign is trusted.
 *
 * @param serializer name of the serializer whose content is signed
 */
export function authSerializer(signing: Signing, registry: SerializerRegistry, serializer = "json"): Serializer {
  const read = (body: Uint8Array, forward: boolean): unknown => {
    const { signer, signature, content } = unpackSigned(body);
    signing.verify(signer, content.body, signature);
    return registry.decode(content, null, forward);
  };
  return {
    name: "auth",
    contentType: "application/data",
    contentEncoding: "utf-8",
    encode(value) {
      const content = registry.encode(value, serializer);
      return packSigned({ signer: signing.signer ?? "", signature: signing.sign(content.body), content });
    },
    decode: (body) => read(body, false),
    decodeForward: (body) => read(body, true),
  };
}

/** The body of a signed message. Mirrors `SecureSerializer._pack`. */
export function packSigned({ signer, signature, content }: SignedContent): Uint8Array {
  const head = [
    base64Encode(utf8Encode(signer)),
    base64Encode(signature),
    content.contentType,
    content.contentEncoding,
  ];
  const parts = head.flatMap((text) => [utf8Encode(text), Uint8Array.from(SEPARATOR)]);
  return utf8Encode(base64Encode(joined([...parts, content.body])));
}

/** Mirrors `SecureSerializer._unpack`. @throws SecurityError when it is no signed message */
export function unpackSigned(body: Uint8Array): SignedContent {
  try {
    const bytes = base64Decode(utf8Decode(body));
    const [signer, signature, contentType, contentEncoding, end] = headOf(bytes);
    return {
      signer: utf8Decode(base64Decode(utf8Decode(signer))),
      signature: base64Decode(utf8Decode(signature)),
      content: {
        contentType: utf8Decode(contentType),
        contentEncoding: utf8Decode(contentEncoding),
        body: bytes.subarray(end),
      },
    };
  } catch (cause) {
    throw new SecurityError(`Unable to deserialize: the content is no signed message: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The four fields before the body, and where that begins. */
function headOf(bytes: Uint8Array): [Uint8Array, Uint8Array, Uint8Array, Uint8Array, number] {
  const fields: Uint8Array[] = [];
  let start = 0;
  for (let at = 0; fields.length < 4; at++) {
    if (at + 1 >= bytes.length) throw new SecurityError("a field is missing");
    if (bytes[at] !== SEPARATOR[0] || bytes[at + 1] !== SEPARATOR[1]) continue;
    fields.push(bytes.subarray(start, at));
    at += 1;
    start = at + 1;
  }
  return [...fields, start] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, number];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
