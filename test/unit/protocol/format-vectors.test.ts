import { describe, expect, it } from "vitest";
import { DecodeError } from "../../../protocol/errors.ts";
import { ExceptionValue } from "../../../protocol/python/exception-value.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { pickle, pickleSerializer } from "../../../protocol/serialization/pickle.ts";
import { yaml } from "../../../protocol/serialization/yaml.ts";
import { named, vectors } from "../../support/vectors.ts";

describe("pickle", () => {
  const cases = vectors<{ repr: string; protocol: number; bytes: string }>("pickle-values").map((vector) => ({
    ...vector,
    shown: vector.repr.slice(0, 60),
  }));

  const shop = pickleSerializer({ exceptions: ["shop.errors.OutOfStock"] });

  it.each(cases)("of protocol $protocol is read, and its value written again: $shown", ({ repr: python, bytes }) => {
    const read = pickle.decodeForward?.(Buffer.from(bytes, "base64"));
    expect(repr(read)).toBe(python);
    expect(repr(shop.decodeForward?.(shop.encode(read)))).toBe(python);
  });

  it.each(cases)("of protocol $protocol is read as plain values: $shown", ({ repr: python, bytes }) => {
    const read = repr(pickle.decode(Buffer.from(bytes, "base64")));
    // A float that is a whole number is the one thing that JavaScript cannot hold apart.
    if (python === "1.0") expect(read).toBe("1");
    else expect(read).toBe(python);
  });

  it.each(vectors<{ name: string; protocol: number; bytes: string }>("pickle-refused"))(
    "of protocol $protocol that names $name is refused",
    ({ name, bytes }) => {
      expect(() => pickle.decode(Buffer.from(bytes, "base64"))).toThrow(DecodeError);
      expect(() => pickle.decode(Buffer.from(bytes, "base64"))).toThrow(name);
    },
  );

  it("gives bytes that share nothing with the message", () => {
    const message = Buffer.from(pickle.encode([new Uint8Array([1, 2])]));
    const [bytes] = pickle.decode(message) as [Uint8Array];
    message.fill(0);
    expect(bytes).toStrictEqual(new Uint8Array([1, 2]));
  });

  it("reads exceptions of one's own where they are told", () => {
    const { bytes } = named<{ name: string; bytes: string }>("pickle-refused", "formats.Sold");
    const own = pickleSerializer({ exceptions: ["formats.Sold"] });
    const sold = own.decode(Buffer.from(bytes, "base64"));
    expect(sold).toBeInstanceOf(ExceptionValue);
    expect(sold).toMatchObject({ module: "formats", type: "Sold", args: ["apple"] });
  });
});

describe("YAML", () => {
  const cases = vectors<{ repr: string; text: string }>("yaml-values").map((vector) => ({
    ...vector,
    shown: vector.repr.slice(0, 60),
  }));

  it.each(cases)("is read as PyYAML reads it: $shown", ({ repr: python, text }) => {
    const bytes = Buffer.from(text);
    const read = yaml.decodeForward?.(bytes);
    expect(repr(read)).toBe(python);
    expect(repr(yaml.decodeForward?.(yaml.encode(read)))).toBe(repr(read));
  });

  it.each(vectors<{ repr: string; text: string }>("yaml-texts"))("of a person: $text", ({ repr: python, text }) => {
    const read = (): string => repr(yaml.decodeForward?.(Buffer.from(text)));
    if (python === "") expect(read).toThrow(DecodeError);
    else expect(read()).toBe(python);
  });
});
