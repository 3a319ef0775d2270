import { SecurityError } from "../../../../protocol/errors.ts";
import {
  authSerializer,
  packSigned,
  type SignedContent,
  unpackSigned,
} from "../../../../protocol/serialization/auth.ts";
import { SerializerRegistry } from "../../../../protocol/serialization/registry.ts";
import { Certificate } from "../../../../src/security/certificate.ts";
import { struck } from "../blows.ts";
import type { Random } from "../random.ts";
import { bytesTarget, type Target } from "../target.ts";
import { captured } from "../vectors.ts";

interface SignedVector {
  name: string;
  digest: string;
  certificate: string;
  body?: string;
}

const vectors = captured<SignedVector>("signed-messages").filter(
  (vector): vector is SignedVector & { body: string } => vector.body !== undefined && vector.name !== "expired",
);
const store = new Map(
  vectors.map(({ certificate, digest }) => {
    const known = new Certificate(certificate);
    return [known.id, { known, digest }];
  }),
);
const registry = new SerializerRegistry();
const auth = authSerializer(
  {
    signer: null,
    sign: () => new Uint8Array(),
    verify(signer, body, signature) {
      const found = store.get(signer);
      if (!found) throw new SecurityError("Unknown certificate");
      found.known.verify(body, signature, found.digest);
    },
  },
  registry,
);

const bodies = vectors.map(({ body }) => Buffer.from(body));
const signed = bodies.map((body) => unpackSigned(body));
const authentic = new Set(signed.map(({ content }) => Buffer.from(content.body).toString("latin1")));
const WORDS = ["\0\x01", "application/json", "application/x-python-serialize", "binary", "utf-8", "=", "AAE="];

/** The fields of one message with those of another, or one of them struck. */
function mixed(random: Random): SignedContent {
  const [one, other] = [random.pick(signed), random.pick(signed)];
  const bytes = (original: Uint8Array): Uint8Array => struck(original, bodies, WORDS, random);
  switch (random.below(5)) {
    case 0:
      return { ...one, content: { ...one.content, body: bytes(one.content.body) } };
    case 1:
      return { ...one, signature: bytes(one.signature) };
    case 2:
      return { ...one, signer: Buffer.from(bytes(Buffer.from(one.signer))).toString() };
    case 3:
      return { ...one, content: other.content };
    default:
      return {
        ...one,
        content: { ...one.content, contentType: random.pick(["", "application/data", "a/b", "application/x-yaml"]) },
      };
  }
}

const message = bytesTarget(
  "auth",
  (random) => {
    if (random.chance(0.4)) return packSigned(mixed(random));
    if (random.chance(0.5)) return struck(random.pick(bodies), bodies, WORDS, random);
    const inside = Buffer.from(random.pick(bodies).toString(), "base64");
    return Buffer.from(Buffer.from(struck(inside, [inside], WORDS, random)).toString("base64"));
  },
  (bytes) => {
    const value = auth.decode(bytes);
    const { content } = unpackSigned(bytes);
    if (!authentic.has(Buffer.from(content.body).toString("latin1"))) throw new Error("read what nobody signed");
    return value;
  },
);

export const signedTargets: readonly Target[] = [message];
