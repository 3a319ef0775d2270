import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { bzip2Blocks } from "../../protocol/compression/bzip2-reader.ts";
import { bzip2Compress } from "../../protocol/compression/bzip2-writer.ts";
import { DecodeError, InflatedSizeExceeded } from "../../protocol/errors.ts";
import { readCompressedPayload } from "../../protocol/result/compressed.ts";
import { unpackSigned } from "../../protocol/serialization/auth.ts";
import { wasmZstd } from "../../src/compression/zstd.ts";
import { zstdFrames } from "../../src/compression/zstd-frames.ts";
import { SecurityError } from "../../src/index.ts";
import { vectors } from "../support/vectors.ts";
import { expectCleanPrototype, expectWithin, mutated } from "./mutations.ts";

afterEach(expectCleanPrototype);

const LIMIT = 1_000_000;

const compressed = vectors<{ contentType: string; bytes: string }>("compressed");
const ofType = (type: string): Buffer[] =>
  compressed.filter(({ contentType }) => contentType === type).map(({ bytes }) => Buffer.from(bytes, "base64"));

function packed(body: Uint8Array): Uint8Array {
  const blocks = bzip2Compress(body);
  for (;;) {
    const { done, value } = blocks.next();
    if (done) return value;
  }
}

/** Whether it was read; anything but a DecodeError is passed on. */
function readOrRefused(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

/** Bytes with runs in them, long and short, which is what bzip2 lives on. */
const runs = fc
  .array(
    fc.tuple(
      fc.integer({ min: 0, max: 255 }),
      fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 250, max: 600 })),
    ),
    {
      maxLength: 20,
    },
  )
  .map((pairs) => Buffer.concat(pairs.map(([byte, count]) => Buffer.alloc(count, byte))));

describe("bzip2", () => {
  it("inflates what it compressed", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), runs), (body) => {
        expect(Buffer.concat([...bzip2Blocks(packed(body))]).equals(body)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [
      "damaged streams",
      mutated([...ofType("application/x-bz2"), packed(Buffer.from("abcabcabc".repeat(50))), packed(Buffer.alloc(100))]),
    ],
    ["random bytes", fc.uint8Array().map((bytes) => Buffer.concat([Buffer.from("BZh9"), bytes]))],
    [
      "random blocks",
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([Buffer.from("BZh11AY&SY1234", "latin1"), bytes])),
    ],
  ])("refuses by a DecodeError, or reads: %s", (_, bytes) => {
    fc.assert(
      fc.property(bytes, (body) => {
        expectWithin(3000, () => readOrRefused(() => [...bzip2Blocks(body, LIMIT)]));
      }),
      { numRuns: 4000 },
    );
  });

  it("stops at the limit whatever comes", () => {
    fc.assert(
      fc.property(runs, fc.nat({ max: 2000 }), (body, limit) => {
        const read = (): Buffer => Buffer.concat([...bzip2Blocks(packed(body), limit)]);
        if (body.length <= limit) expect(read()).toHaveLength(body.length);
        else expect(read).toThrow(InflatedSizeExceeded);
      }),
      { numRuns: 500 },
    );
  });
});

describe("zstd", () => {
  const wasm = wasmZstd();

  it("frames are told apart, or refused by a DecodeError", () => {
    fc.assert(
      fc.property(fc.oneof(mutated(ofType("application/zstd")), fc.uint8Array()), (bytes) => {
        expectWithin(1000, () => readOrRefused(() => zstdFrames(bytes)));
      }),
      { numRuns: 4000 },
    );
  });

  it("content is inflated within the limit, or refused by a DecodeError", async () => {
    await fc.assert(
      fc.asyncProperty(mutated(ofType("application/zstd")), async (bytes) => {
        const inflated = await wasm.decompress(bytes, LIMIT).catch((error: unknown) => {
          if (error instanceof DecodeError) return Buffer.of();
          throw error;
        });
        expect(inflated.length).toBeLessThanOrEqual(LIMIT);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("marks and envelopes", () => {
  it("of a compressed result are read, or there are none", () => {
    const stored = vectors<{ payload: string }>("compressed-results").map(({ payload }) =>
      Buffer.from(payload, "base64"),
    );
    fc.assert(
      fc.property(fc.oneof(mutated(stored), fc.uint8Array()), (bytes) => {
        const read = readCompressedPayload(bytes);
        if (read) expect(read.body.length).toBeLessThan(bytes.length);
      }),
      { numRuns: 4000 },
    );
  });

  it("of a signed message are read, or refused by a SecurityError", () => {
    const bodies = vectors<{ body?: string }>("signed-messages").flatMap(({ body }) =>
      body ? [Buffer.from(body)] : [],
    );
    const inside = bodies.map((body) => Buffer.from(body.toString(), "base64"));
    const encoded = mutated(inside).map((bytes) => Buffer.from(Buffer.from(bytes).toString("base64")));
    fc.assert(
      fc.property(fc.oneof(mutated(bodies), encoded, fc.uint8Array()), (bytes) => {
        try {
          unpackSigned(bytes);
        } catch (error) {
          if (!(error instanceof SecurityError)) throw error;
        }
      }),
      { numRuns: 4000 },
    );
  });
});
