import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DecodeError, SecurityError } from "../../../protocol/errors.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { authSerializer, unpackSigned } from "../../../protocol/serialization/auth.ts";
import { SerializerRegistry } from "../../../protocol/serialization/registry.ts";
import { Celery, ImproperlyConfigured } from "../../../src/index.ts";
import { readCertStore } from "../../../src/security/cert-store.ts";
import { Certificate, issuerText } from "../../../src/security/certificate.ts";
import { PrivateKey } from "../../../src/security/private-key.ts";
import { signingWith } from "../../../src/security/security.ts";
import { named, vectors } from "../../support/vectors.ts";

interface Vector {
  name: string;
  digest: string;
  serializer: string;
  key: string;
  password: string | null;
  certificate: string;
  id: string;
  repr: string;
  body: string;
}

const all = vectors<Vector>("signed-messages");
const valid = all.filter(({ name }) => name !== "no RSA" && name !== "expired");
const plain = named<Vector>("signed-messages", "plain");

/** Keys and certificates where Celery's settings want them: in files. */
function filesOf(
  vector: Vector,
  others: readonly Vector[] = [],
): { key: string; certificate: string; certStore: string } {
  const folder = mkdtempSync(join(tmpdir(), "celeriac-auth-"));
  const at = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const certStore = join(folder, "certs");
  mkdirSync(certStore);
  for (const [n, { certificate }] of [vector, ...others].entries()) at(`certs/${n}.pem`, certificate);
  return { key: at("key.pem", vector.key), certificate: at("cert.pem", vector.certificate), certStore };
}

function registryOf(vector: Vector): SerializerRegistry {
  const registry = new SerializerRegistry();
  const { digest, password: keyPassword, serializer } = vector;
  const signing = signingWith({ ...filesOf(vector), keyPassword, digest });
  registry.register(authSerializer(signing, registry, serializer));
  return registry;
}

function read(registry: SerializerRegistry, body: Uint8Array | string): unknown {
  const content = { body: Buffer.from(body), contentType: "application/data", contentEncoding: "utf-8" };
  return registry.decode(content, registry.accept(["auth"]));
}

describe("a message that Celery signed", () => {
  it.each(valid)("is read: $name", (vector) => {
    expect(new Certificate(vector.certificate).id).toBe(vector.id);
    expect(unpackSigned(Buffer.from(vector.body)).signer).toBe(vector.id);
    expect(repr(read(registryOf(vector), vector.body))).toBe(vector.repr);
  });

  it.each(valid)("is signed here as well: $name", (vector) => {
    const registry = registryOf(vector);
    const { body, contentType, contentEncoding } = registry.encode(["ours", { deep: [1.5] }], "auth");
    expect([contentType, contentEncoding]).toEqual(["application/data", "utf-8"]);
    expect(read(registry, body)).toEqual(["ours", { deep: [1.5] }]);
    const [theirs, ours] = [vector.body, Buffer.from(body).toString()].map((text) => unpackSigned(Buffer.from(text)));
    expect(ours?.signature.length).toBe(theirs?.signature.length);
  });
});

describe("a message is refused", () => {
  const registry = registryOf(plain);

  it("when any one of its bytes was altered", () => {
    const whole = Buffer.from(plain.body, "base64");
    for (let at = 0; at < whole.length; at++) {
      const altered = Buffer.from(whole);
      altered.writeUInt8((altered.readUInt8(at) + 1) & 255, at);
      const { content, signer } = safely(() => unpackSigned(Buffer.from(altered.toString("base64")))) ?? {};
      // The content type and encoding are not signed, as in Celery; neither makes the message say anything else.
      const isUnsigned = signer === plain.id && Buffer.from(content?.body ?? []).equals(signedBody());
      const refused = safely(() => read(registry, altered.toString("base64"))) === undefined;
      expect(refused || isUnsigned, `byte ${at}`).toBe(true);
    }
  });

  it("when its signer is unknown", () => {
    const stranger = registryOf(named<Vector>("signed-messages", "odd issuer"));
    expect(() => read(stranger, plain.body)).toThrow(`Unknown certificate: "${plain.id}"`);
    expect(() => read(stranger, plain.body)).toThrow(DecodeError);
    expect(cause(() => read(stranger, plain.body))).toBeInstanceOf(SecurityError);
  });

  it("when another signed it in the signer's name", () => {
    const impostor = named<Vector>("signed-messages", "3072 bits");
    const { signature, content } = unpackSigned(Buffer.from(impostor.body));
    expect(impostor.id).toBe(plain.id);
    expect(content.body).toHaveLength(signedBody().length);
    expect(signature.length).toBeGreaterThan(0);
    expect(() => read(registry, impostor.body)).toThrow("Bad signature");
  });

  it("when the signer's certificate has expired, which already the store refuses", () => {
    const expired = named<Vector>("signed-messages", "expired");
    const { signature, content } = unpackSigned(Buffer.from(expired.body));
    const certificate = new Certificate(expired.certificate);
    expect(certificate.hasExpired()).toBe(true);
    expect(certificate.hasExpired(new Date("2020-06-01"))).toBe(false);
    expect(() => certificate.verify(content.body, signature, "sha256")).toThrow(`Expired certificate: "${expired.id}"`);
    expect(() => readCertStore(filesOf(expired).certStore)).toThrow("Expired certificate");
  });

  it("when it was signed with another hash, or another length of salt", () => {
    const sha512 = named<Vector>("signed-messages", "another digest");
    expect(() => read(registryOf({ ...sha512, digest: "sha256" }), sha512.body)).toThrow("Bad signature");
  });

  it.each(["", "bm90IHNpZ25lZA==", "no base64 §", plain.body.slice(0, 100), plain.body.slice(4)])(
    "when it is no signed message: %s",
    (body) => {
      expect(() => read(registry, body)).toThrow(DecodeError);
      expect(() => read(registry, body)).toThrow("no signed message");
    },
  );
});

describe("keys and certificates", () => {
  it("must be RSA", () => {
    const { key, certificate } = named<Vector>("signed-messages", "no RSA");
    expect(() => new PrivateKey(key)).toThrow("Non-RSA keys are not supported");
    expect(() => new Certificate(certificate)).toThrow("Non-RSA certificates are not supported");
  });

  it("are told from what is none, and need the right password", () => {
    const encrypted = named<Vector>("signed-messages", "encrypted key");
    expect(() => new PrivateKey("x")).toThrow("Invalid private key");
    expect(() => new Certificate("x")).toThrow("Invalid certificate");
    expect(() => new PrivateKey(encrypted.key, "tea")).toThrow(SecurityError);
    expect(() => new PrivateKey(encrypted.key)).toThrow(SecurityError);
    expect(new PrivateKey(encrypted.key, "coffee").sign(Buffer.from("x"), "sha256")).toHaveLength(256);
  });

  it("are read from a folder, or by a pattern", () => {
    const odd = named<Vector>("signed-messages", "odd issuer");
    const { certStore } = filesOf(plain, [odd]);
    expect([...readCertStore(certStore).keys()].sort()).toEqual([odd.id, plain.id].sort());
    expect([...readCertStore(`${certStore}/1*.pem`).keys()]).toEqual([odd.id]);
    expect([...readCertStore(join(certStore, "..", "cert?", "[1-9].pem")).keys()]).toEqual([odd.id]);
    expect(readCertStore(join(certStore, "none", "*.pem")).size).toBe(0);
    expect(() => readCertStore(filesOf(plain, [plain]).certStore)).toThrow("Duplicate certificate");
  });

  it("give the issuer as Python's cryptography does", () => {
    expect(issuerText("C=DE\nO=Shop\nCN=Test CA")).toBe("DE Shop Test CA");
    expect(issuerText('CN=a\\, \\"b\\" \\+ c\\0A\\C3\\A4 + SN=x + y\nO=\\#z\\ ')).toBe('a, "b" + c\nä x + y #z ');
  });
});

describe("the settings of signing", () => {
  const files = filesOf(plain);
  const settings = {
    securityKey: files.key,
    securityCertificate: files.certificate,
    securityCertStore: files.certStore,
  };

  it("are asked for when tasks are to be signed", () => {
    const wanted = { taskSerializer: "auth", acceptContent: ["auth"] };
    expect(() => new Celery("shop", wanted)).toThrow("securityKey, securityCertificate and securityCertStore");
    expect(() => new Celery("shop", { ...settings, taskSerializer: "auth" })).toThrow('acceptContent ["auth"]');
    expect(() => new Celery("shop", { ...settings, ...wanted, securityDigest: "md0" })).toThrow(ImproperlyConfigured);
    expect(() => new Celery("shop", { ...settings, ...wanted, securityKey: "/none" })).toThrow(
      "securityKey cannot be read",
    );
    expect(new Celery("shop", { ...settings, ...wanted }).serializers.get("auth").contentType).toBe("application/data");
  });

  it("allow to verify without a key", () => {
    const app = new Celery("shop", { securityCertStore: files.certStore, acceptContent: ["auth"] });
    expect(repr(read(app.serializers, plain.body))).toBe(plain.repr);
    expect(() => app.serializers.encode(1, "auth")).toThrow("signing needs securityKey");
  });
});

function signedBody(): Buffer {
  return Buffer.from(unpackSigned(Buffer.from(plain.body)).content.body);
}

function safely<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}

function cause(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return (error as Error).cause;
  }
  return undefined;
}
