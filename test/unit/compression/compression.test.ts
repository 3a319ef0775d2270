import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { DecodeError, InflatedSizeExceeded, SerializerNotInstalled } from "../../../protocol/errors.ts";
import { readCompressedPayload, writeCompressedPayload } from "../../../protocol/result/compressed.ts";
import { compress, decompress } from "../../../src/compression/compression.ts";
import { optionalPackage } from "../../../src/compression/optional-package.ts";
import { wasmZstd } from "../../../src/compression/zstd.ts";
import { vectors } from "../../support/vectors.ts";

const METHODS = ["gzip", "bzip2", "brotli", "lzma", "zstd"];
const wasm = wasmZstd();

const bodies: [what: string, body: Buffer][] = [
  ["nothing", Buffer.alloc(0)],
  ["one byte", Buffer.from("a")],
  ["five of a byte", Buffer.alloc(5)],
  ["text", Buffer.from("the quick brown fox jumps over the lazy dog. ".repeat(500))],
  ["noise", randomBytes(70_000)],
  ["zeros", Buffer.alloc(1_200_000)],
];

describe.each(METHODS)("%s", (method) => {
  it.each(bodies)("inflates what it compressed: %s", async (_, body) => {
    const { body: packed, contentType } = await compress(body, method);
    expect(Buffer.from(await decompress(packed, contentType)).equals(body)).toBe(true);
    expect(Buffer.from(await decompress(packed, method)).equals(body)).toBe(true);
  });

  it("stops at the limit, and not before", async () => {
    const body = Buffer.alloc(1_000_000, "x");
    const { body: packed } = await compress(body, method);
    expect(await decompress(packed, method, 1_000_000)).toHaveLength(1_000_000);
    expect(await decompress(packed, method, null)).toHaveLength(1_000_000);
    const tooLarge = decompress(packed, method, 999_999);
    await expect(tooLarge).rejects.toBeInstanceOf(InflatedSizeExceeded);
    await expect(tooLarge).rejects.toThrow("inflates to more than 999999 bytes, the setting inflatedSizeLimit");
  });

  it("refuses what was cut off, and what is something else", async () => {
    const { body: packed } = await compress(Buffer.from("text ".repeat(1000)), method);
    for (const body of [packed.subarray(0, packed.length - 5), packed.subarray(0, 6), Buffer.from("no such thing")]) {
      await expect(decompress(body, method)).rejects.toBeInstanceOf(DecodeError);
    }
  });
});

it.each(["bzip2", "lzma", "zstd"])("%s inflates what was compressed in two parts, as Python does", async (method) => {
  const parts = await Promise.all(["one, ", "two"].map((part) => compress(Buffer.from(part), method)));
  const packed = Buffer.concat(parts.map(({ body }) => body));
  expect(Buffer.from(await decompress(packed, method)).toString()).toBe("one, two");
});

describe("what Celery compressed", () => {
  const captured = vectors<{ method: string; contentType: string; text: string; bytes: string }>("compressed");

  it.each(captured)("is inflated: $method", async ({ method, contentType, text, bytes }) => {
    const packed = Buffer.from(bytes, "base64");
    expect(Buffer.from(await decompress(packed, contentType)).toString()).toBe(text);
    expect((await compress(Buffer.from(text), method)).contentType).toBe(contentType);
    if (contentType === "application/zstd") {
      expect(Buffer.from(await wasm.decompress(packed, 1_000_000)).toString()).toBe(text);
    }
  });

  it.each(vectors<{ method: string; payload: string; record: string }>("compressed-results"))(
    "is told from a result that is not: $method",
    async ({ method, payload, record }) => {
      const stored = Buffer.from(payload, "base64");
      const read = readCompressedPayload(stored);
      if (method === "none") {
        expect(read).toBeUndefined();
        expect(stored.toString()).toBe(record);
        return;
      }
      expect(Buffer.from(await decompress(read?.body ?? Buffer.of(), read?.contentType ?? "")).toString()).toBe(record);
      expect(Buffer.from(writeCompressedPayload(read as never)).equals(stored)).toBe(true);
    },
  );
});

describe("a bomb", () => {
  const limit = 8 * 1024 * 1024;
  const python = vectors<{ method: string; bytes: string }>("bombs");

  it.each(python)("is refused before it costs anything: $method", async ({ method, bytes }) => {
    const bomb = Buffer.from(bytes, "base64");
    const before = process.memoryUsage().rss;
    await expect(decompress(bomb, method, limit)).rejects.toBeInstanceOf(InflatedSizeExceeded);
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
    expect(bomb.length).toBeLessThan(200_000);
  });

  it("of lzma is inflated no further than there is room: the decoder does all that it is given", async () => {
    const bomb = Buffer.from(python.find(({ method }) => method === "lzma")?.bytes ?? "", "base64");
    const fastest = async (room: number): Promise<number> => {
      const times: number[] = [];
      for (let trial = 0; trial < 2; trial++) {
        const started = performance.now();
        await decompress(bomb, "lzma", room).catch(() => undefined);
        times.push(performance.now() - started);
      }
      return Math.min(...times);
    };
    expect(await fastest(100_000)).toBeLessThan((await fastest(20_000_000)) / 2);
  });

  it("that lies about its size is refused as well", async () => {
    const zstd = Buffer.from(python.find(({ method }) => method === "zstd")?.bytes ?? "", "base64");
    await expect(wasm.decompress(zstd, limit)).rejects.toBeInstanceOf(InflatedSizeExceeded);
    // A frame header of one segment has its size behind the descriptor: of a gigabyte, told as four bytes.
    const lying = Buffer.from(zstd);
    lying.writeUInt32LE(1000, 5 + (lying.readUInt8(4) & 0x20 ? 0 : 1));
    await expect(wasm.decompress(lying, limit)).rejects.toBeInstanceOf(DecodeError);
  });
});

describe("zstd in WebAssembly, for Node before 22.15", () => {
  it.each(bodies)("inflates what it compressed: %s", async (_, body) => {
    const packed = await wasm.compress(body);
    expect(Buffer.from(await wasm.decompress(packed, 2_000_000)).equals(body)).toBe(true);
  });

  it("inflates several frames, and what does not tell its size", async () => {
    const frame = await wasm.compress(Buffer.from("abc"));
    const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
    expect(Buffer.from(await wasm.decompress(Buffer.concat([frame, skipped, frame]), 6)).toString()).toBe("abcabc");
    await expect(wasm.decompress(Buffer.concat([frame, frame]), 5)).rejects.toBeInstanceOf(InflatedSizeExceeded);
    // A window of 1 KiB, no size, one raw block of three bytes, the last one.
    const unsized = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x19, 0x00, 0x00, 0x61, 0x62, 0x63]);
    expect(Buffer.from(await wasm.decompress(unsized, 3)).toString()).toBe("abc");
    await expect(wasm.decompress(unsized, 2)).rejects.toBeInstanceOf(InflatedSizeExceeded);
  });
});

describe("a compression that cannot be had", () => {
  it("is named, with those that can", async () => {
    await expect(compress(Buffer.from("x"), "snappy")).rejects.toThrow(
      "No compression of type snappy; there are: gzip, zlib, bzip2, bzip, brotli, lzma, xz, zstd, zstandard",
    );
    await expect(decompress(Buffer.from("x"), "__proto__")).rejects.toBeInstanceOf(SerializerNotInstalled);
  });

  it("says what to install", async () => {
    const missing = optionalPackage("celeriac-no-such-package", "lzma");
    await expect(missing).rejects.toBeInstanceOf(SerializerNotInstalled);
    await expect(missing).rejects.toThrow("npm install celeriac-no-such-package");
  });
});

it("bzip2 is read by bunzip2 where there is one", async () => {
  const body = randomBytes(1000);
  const { body: packed } = await compress(body, "bzip2");
  try {
    execFileSync("bzip2", ["--version"], { stdio: "ignore" });
  } catch {
    return;
  }
  expect(execFileSync("bzip2", ["-dc"], { input: packed }).equals(body)).toBe(true);
});
