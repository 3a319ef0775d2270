import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemcachedReplyReader, memcachedExpiry } from "../../../protocol/transport/memcached.ts";
import { murmur3, rendezvousNode } from "../../../protocol/transport/rendezvous.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("memcached's replies", () => {
  it("are read whatever pieces they come in", () => {
    const stream = bytes("VALUE a 0 6\r\nE\r\nD\r\n\r\nVALUE b 0 0\r\n\r\nEND\r\nSTORED\r\nNOT_FOUND\r\nEND\r\n5\r\n");
    const whole = new MemcachedReplyReader().feed(stream);
    expect(whole.map(({ line }) => line)).toEqual(["END", "STORED", "NOT_FOUND", "END", "5"]);
    expect(whole[0]?.values).toEqual([
      { key: "a", value: bytes("E\r\nD\r\n") },
      { key: "b", value: bytes("") },
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 12 }), (cuts) => {
        const reader = new MemcachedReplyReader();
        const places = [0, ...cuts.sort((one, other) => one - other), stream.length];
        const pieces = places.slice(1).map((end, at) => stream.subarray(places[at], end));
        expect(pieces.flatMap((piece) => reader.feed(piece))).toEqual(whole);
      }),
    );
  });

  it("of a large value are read without looking at every piece", () => {
    const reader = new MemcachedReplyReader();
    const value = new Uint8Array(8 << 20).fill(120);
    expect(reader.feed(bytes(`VALUE k 0 ${value.length}\r\n`))).toEqual([]);
    const started = performance.now();
    for (let at = 0; at < value.length; at += 1024) expect(reader.feed(value.subarray(at, at + 1024))).toEqual([]);
    expect(reader.feed(bytes("\r\nEND\r\n"))[0]?.values[0]?.value).toHaveLength(value.length);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it("that are none are refused", () => {
    expect(() => new MemcachedReplyReader().feed(bytes("VALUE k 0 2\r\nabcEND\r\n"))).toThrow(RangeError);
  });
});

describe("a server of several", () => {
  // As pymemcache 4.0.0 says: RendezvousHash(nodes).get_node(key), murmur3_32(text).
  const nodes = ["127.0.0.1:11211", "127.0.0.2:11211", "10.0.0.3:11211"];

  it.each([
    ["", 0],
    ["a", 1009084850],
    ["ab", 2613040991],
    ["abc", 3017643002],
    ["abcd", 1139631978],
    ["celery-task-meta-6ba7b810-9dad-11d1-80b4-00c04fd430c8", 337338638],
  ])("is chosen by the hash of %j", (text, hash) => {
    expect(murmur3(text)).toBe(hash);
  });

  it("is the one where pymemcache looks", () => {
    const keys = Array.from({ length: 12 }, (_, number) => `celery-task-meta-${number}`);
    const places = keys.map((key) => nodes.indexOf(rendezvousNode(nodes, key) ?? ""));
    expect(places).toEqual([2, 0, 0, 2, 1, 1, 1, 0, 0, 0, 1, 0]);
  });
});

describe("an expiry", () => {
  it("of more than 30 days is told as a moment", () => {
    expect(memcachedExpiry(0, 1_800_000_000.5)).toBe(0);
    expect(memcachedExpiry(86_400, 1_800_000_000.5)).toBe(86_400);
    expect(memcachedExpiry(2_592_001, 1_800_000_000.5)).toBe(1_802_592_001);
  });
});
