import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ConsumeMessage } from "amqplib";
import { describe, expect, it } from "vitest";
import { DecodeError } from "../../../protocol/errors.ts";
import { readMessage } from "../../../src/brokers/amqp/properties.ts";

/** The driver's own codec, which has no door of its own. */
const require = createRequire(import.meta.url);
const codec = require(join(dirname(require.resolve("amqplib")), "lib/codec.js")) as {
  decodeFields(table: Buffer): Record<string, unknown>;
};

/** A key and a value of a table, as they are on the wire. */
function entry(key: string, type: string, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([key.length]), Buffer.from(key), Buffer.from(type), value]);
}

function sized(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function read(table: Buffer): Record<string, unknown> {
  const message = { content: Buffer.of(), properties: { headers: codec.decodeFields(table) } };
  return readMessage(message as unknown as ConsumeMessage).headers;
}

const text = (key: string, value: string): Buffer => entry(key, "S", sized(Buffer.from(value)));
const table = (key: string, ...entries: Buffer[]): Buffer => entry(key, "F", sized(Buffer.concat(entries)));

describe("headers that the driver read", () => {
  it("have a key __proto__ like any other, and no other prototype", () => {
    const headers = read(
      Buffer.concat([
        table("__proto__", text("task", "tasks.other"), table("__proto__", text("a", "b"))),
        table("inner", text("own", "1"), table("__proto__", text("polluted", "2"))),
        text("id", "1"),
      ]),
    );
    expect(headers.task).toBeUndefined();
    expect(Object.getPrototypeOf(headers)).toBe(Object.prototype);
    expect(JSON.stringify(headers)).toBe(
      '{"inner":{"own":"1","__proto__":{"polluted":"2"}},"id":"1","__proto__":{"task":"tasks.other","__proto__":{"a":"b"}}}',
    );
    expect(Object.getPrototypeOf(headers.inner)).toBe(Object.prototype);
  });

  it("have it too where it is null, or a list of tables", () => {
    expect(Object.keys(read(entry("__proto__", "V", Buffer.of())))).toEqual(["__proto__"]);
    const list = entry(
      "list",
      "A",
      sized(Buffer.concat([Buffer.from("F"), sized(table("__proto__", text("a", "b")))])),
    );
    expect(JSON.stringify(read(list))).toBe('{"list":[{"__proto__":{"a":"b"}}]}');
  });

  it("are refused where tables are nested too deeply", () => {
    let nested = text("a", "b");
    for (let depth = 0; depth < 2500; depth++) nested = table("t", nested);
    expect(() => read(nested)).toThrow(DecodeError);
  });
});
