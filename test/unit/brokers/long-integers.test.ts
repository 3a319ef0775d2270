import { describe, expect, it } from "vitest";
import { retagFrame } from "../../../src/brokers/amqp/long-integers.ts";

const uint32 = (value: number): Buffer => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const sized = (content: Buffer): Buffer => Buffer.concat([uint32(content.length), content]);
const field = (name: string, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([name.length]), Buffer.from(name), value]);
const tagged = (tag: string, value: Buffer): Buffer => Buffer.concat([Buffer.from(tag), value]);

/** A content header with a content type and these fields. */
function frame(...fields: Buffer[]): Buffer {
  const flags = Buffer.from([0xa0, 0]);
  const type = Buffer.from([4, ..."L/LL".split("").map((sign) => sign.charCodeAt(0))]);
  const payload = Buffer.concat([Buffer.alloc(12), flags, type, sized(Buffer.concat(fields))]);
  return Buffer.concat([Buffer.from([2, 0, 1]), sized(payload), Buffer.from([0xce])]);
}

const integer = Buffer.alloc(8, 76);

describe("an integer beyond 32 bits, as py-amqp writes it", () => {
  it("gets the driver's tag, in tables and lists too, and nothing else is touched", () => {
    const fields = (tag: string): Buffer[] => [
      field("L", tagged("S", sized(Buffer.from("LLL")))),
      field("a", tagged(tag, integer)),
      field("b", tagged("A", sized(tagged("F", sized(field("L", tagged(tag, integer))))))),
      field("c", tagged("t", Buffer.from([76]))),
      field("d", tagged(tag, integer)),
    ];
    const bytes = frame(...fields("L"));
    retagFrame(bytes);
    expect(bytes).toEqual(frame(...fields("l")));
  });

  it("is left to the driver in what is cut short, unknown, or of another kind", () => {
    const whole = frame(field("a", tagged("L", integer)));
    const cut = whole.subarray(0, -3);
    const lying = frame(Buffer.concat([Buffer.from([200]), Buffer.from("L")]));
    const unknown = frame(field("x", tagged("?", integer)), field("a", tagged("L", integer)));
    const body = Buffer.from(whole).fill(3, 0, 1);
    for (const bytes of [cut, lying, unknown, body, Buffer.alloc(0)]) {
      const before = Buffer.from(bytes);
      retagFrame(bytes);
      expect(bytes).toEqual(before);
    }
  });
});
