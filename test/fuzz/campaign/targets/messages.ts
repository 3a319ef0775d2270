import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ConsumeMessage } from "amqplib";
import { chordSize } from "../../../../protocol/canvas/chord.ts";
import { linkTo } from "../../../../protocol/canvas/compose.ts";
import { clone, readSignature, signature } from "../../../../protocol/canvas/signature.ts";
import { DecodeError, EncodeError } from "../../../../protocol/errors.ts";
import type { Embed, TaskBody } from "../../../../protocol/message/embed.ts";
import { readHeaders } from "../../../../protocol/message/headers.ts";
import type { Message } from "../../../../protocol/message/message.ts";
import { isHybridBody, isTaskV1, mayBeHybrid } from "../../../../protocol/message/v1.ts";
import { argsRepr, saferepr } from "../../../../protocol/python/saferepr.ts";
import { loads, loadsForward } from "../../../../protocol/serialization/json-reader.ts";
import { dumps } from "../../../../protocol/serialization/json-writer.ts";
import { SerializerRegistry } from "../../../../protocol/serialization/registry.ts";
import { queueOf, readTable } from "../../../../protocol/transport/filesystem.ts";
import { lookup, markRedelivered, readEnvelope } from "../../../../protocol/transport/virtual.ts";
import type { Settings } from "../../../../src/app/settings.ts";
import type { TaskDefinition } from "../../../../src/app/task.ts";
import { readMessage } from "../../../../src/brokers/amqp/properties.ts";
import { tableValues } from "../../../../src/brokers/amqp/table-values.ts";
import { envelopeText, VirtualDelivery } from "../../../../src/brokers/virtual.ts";
import { compress } from "../../../../src/compression/compression.ts";
import { Request } from "../../../../src/worker/request.ts";
import { BodyReader } from "../../../../src/worker/task-body.ts";
import { struck } from "../blows.ts";
import { shuffled } from "../parts.ts";
import type { Random } from "../random.ts";
import { bytesTarget, show, type Target } from "../target.ts";
import { captured } from "../vectors.ts";

/** Bytes that any content of these targets may inflate to. */
export const INFLATED_LIMIT = 256 * 1024;

const serializers = new SerializerRegistry();
const settings = { acceptContent: ["json", "msgpack", "yaml", "pickle"], inflatedSizeLimit: INFLATED_LIMIT };
const bodies = new BodyReader({ serializers, settings: settings as Settings });
const definition = { name: "tasks.any", ignoreResult: false, timeLimit: null, softTimeLimit: null };

/** All that a worker reads of a message before its task runs, and after it. */
export async function receive(message: Message): Promise<unknown> {
  const delivery = new VirtualDelivery(enveloped(message), "celery", "tag", null);
  const { headers } = message;
  if (headers.task !== undefined && !mayBeHybrid(headers)) {
    return handled(
      new Request(readHeaders(headers), definition as TaskDefinition, delivery, "worker@host", "Europe/Berlin"),
      message,
    );
  }
  const body = await bodies.readAny(message);
  if (headers.task === undefined ? !isTaskV1(body) : !isHybridBody(body)) return undefined;
  const task = bodies.readV1(body as Record<string, unknown>, message);
  const request = new Request(task.headers, definition as TaskDefinition, delivery, "worker@host", "UTC", task.body);
  return handled(request, message);
}

function enveloped(message: Message): ReturnType<typeof readEnvelope> {
  const { headers, properties, contentType, contentEncoding } = message;
  const info = { delivery_tag: "tag", delivery_info: { exchange: "", routing_key: "celery" } };
  return { headers, contentType, contentEncoding, body: "", properties: { ...properties, ...info } };
}

async function handled(request: Request, message: Message): Promise<unknown> {
  const [args, kwargs, embed] = request.body ?? (await bodies.read(message));
  const shown = [argsRepr(args, 1024), saferepr(kwargs, 1024), request.isExpired(), request.customHeaders()];
  const forwarded = await bodies.readForward(message);
  sentOn(forwarded);
  return { request: request.taskRequest(args, kwargs, embed), embed, shown };
}

/** What follows the task is read, changed and written again. */
function sentOn([args, kwargs, embed]: TaskBody): void {
  const written = (value: unknown): string | undefined => unless(EncodeError, () => dumps(value));
  written([args, kwargs]);
  for (const name of ["callbacks", "errbacks", "chain", "chord"] as const satisfies (keyof Embed)[]) {
    for (const data of [embed[name]].flat()) {
      if (data === null || data === undefined) continue;
      const sig = clone(readSignature(data));
      chordSize(sig);
      linkTo(sig, signature("tasks.other", [1]));
      written(sig);
    }
  }
}

function unless<T>(type: new (...args: never[]) => Error, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (error instanceof type) return undefined;
    throw error;
  }
}

interface MessageVector {
  headers?: string;
  properties?: string;
  body: string;
}

const JSON_WORDS = [
  ...['"__proto__"', '"__type__": ', '"__value__": ', "{", "}", "[", "]", ",", ": ", '"', "\\u0000", "\\ud800", "\\"],
  ...["NaN", "-Infinity", "-0", "1e999", "12345678901234567890", "1.0", "null", "true", "\xff", "\xed\xa0\x80"],
  ...['{"__type__": "datetime", "__value__": "', '"task"', '"id"', '"callbacks"', '"chain"', '"headers"'],
];
const vectors = [...captured<MessageVector>("messages"), ...captured<MessageVector>("hybrids")];
const v2 = vectors.map(({ headers = "{}", properties = "{}", body }) => ({
  headers: loadsForward(headers) as Record<string, unknown>,
  properties: loads(properties) as Record<string, unknown>,
  body,
}));
const v2Bodies = captured<MessageVector>("messages").map(({ body }) => Buffer.from(body));
const v1Bodies = captured<MessageVector>("messages-v1").map(({ body }) => Buffer.from(body));
const envelopes = [
  ...captured<{ text: string }>("envelopes").map(({ text }) => text),
  ...v2.map(({ headers, properties, body }) =>
    envelopeText(
      { headers, properties, contentType: "application/json", contentEncoding: "utf-8", body: Buffer.from(body) },
      { exchange: "", routingKey: "celery" },
      "d0f4a1b2-0000-4000-8000-000000000000",
    ),
  ),
];
const envelopeBytes = envelopes.map((text) => Buffer.from(text));

/** A JSON text with its parts shuffled, or its bytes struck. */
export function jsonMade(texts: readonly Uint8Array[], random: Random): Uint8Array {
  const original = random.pick(texts);
  if (random.chance(0.5)) return struck(original, texts, JSON_WORDS, random);
  return Buffer.from(dumps(shuffled(loadsForward(Buffer.from(original).toString()), random)));
}

/** An envelope that holds a body with something done to it. */
function envelopeWithBody(random: Random): Uint8Array {
  const { headers, properties } = random.pick(v2);
  const { message } = madeContent(random.chance(0.7) ? v2Bodies : v1Bodies, random);
  const route = { exchange: "", routingKey: "celery" };
  const sent = { ...message, headers: random.chance(0.8) ? headers : {}, properties };
  return Buffer.from(envelopeText(sent, route, "tag", random.chance(0.8) ? "base64" : null));
}

const envelope = bytesTarget(
  "redis-envelope",
  (random) => (random.chance(0.3) ? envelopeWithBody(random) : jsonMade(envelopeBytes, random)),
  (bytes) => {
    const text = Buffer.from(bytes).toString();
    const read = readEnvelope(text);
    const marked = readEnvelope(markRedelivered(text));
    const delivery = new VirtualDelivery(marked, "celery", read.properties.delivery_tag, null);
    return receive(delivery.message);
  },
);

/** The driver's own codec, which has no door of its own. */
const require = createRequire(import.meta.url);
const codec = require(join(dirname(require.resolve("amqplib")), "lib/codec.js")) as {
  decodeFields(table: Buffer): Record<string, unknown>;
  encodeTable(into: Buffer, table: object, at: number): number;
};

function tableOf(headers: unknown): Buffer<ArrayBuffer> {
  const buffer = Buffer.alloc(65_536);
  const isTable = typeof headers === "object" && headers !== null && !Array.isArray(headers);
  const length = codec.encodeTable(buffer, tableValues(isTable ? (headers as Record<string, unknown>) : {}), 0);
  return buffer.subarray(4, length);
}

const tables = v2.map(({ headers }) => tableOf(headers));
const TABLE_WORDS = ["\x09__proto__F", "\x09__proto__V", "\x04taskS", "\x02idS", "F", "A", "D", "T", "l", "x", "V"];

const amqp = bytesTarget(
  "amqp-headers",
  (random) => {
    if (random.chance(0.6)) return struck(random.pick(tables), tables, TABLE_WORDS, random);
    try {
      return tableOf(shuffled(random.pick(v2).headers, random));
    } catch {
      // What cannot be sent as a table comes as another one.
      return struck(random.pick(tables), tables, TABLE_WORDS, random);
    }
  },
  (bytes) => {
    let headers: Record<string, unknown>;
    try {
      headers = codec.decodeFields(Buffer.from(bytes));
    } catch (cause) {
      // RabbitMQ sends no such table; the driver ends the connection over it.
      throw new DecodeError("the driver cannot read this table", { cause });
    }
    const properties = { headers, contentType: "application/json", contentEncoding: "utf-8", correlationId: "1" };
    const body = Buffer.from('[[1], {"y": 2}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]');
    return receive(readMessage({ content: body, properties } as unknown as ConsumeMessage));
  },
);

/** A message whose body, content type or compression somebody may have altered. */
interface Content {
  message: Message;
  compression: string | null;
}

const TYPES = ["json", "json", "json", "msgpack", "yaml", "pickle"] as const;
const METHODS = ["gzip", "bzip2", "lzma", "brotli", "zstd"];

function madeContent(originals: readonly Uint8Array[], random: Random): Content {
  const name = random.pick(TYPES);
  const { contentType, contentEncoding } = serializers.get(name);
  const compression = random.chance(0.1) ? random.pick(METHODS) : null;
  const label = { contentType: random.chance(0.02) ? "application/data" : contentType, contentEncoding };
  return { message: { headers: {}, properties: {}, ...label, body: madeBody(originals, name, random) }, compression };
}

function madeBody(originals: readonly Uint8Array[], name: string, random: Random): Uint8Array {
  if (name === "json") return jsonMade(originals, random);
  const values = originals.map((bytes) => loads(Buffer.from(bytes).toString()));
  const value = random.chance(0.5) ? shuffled(random.pick(values), random) : random.pick(values);
  try {
    const { body } = serializers.encode(value, name);
    return random.chance(0.6) ? struck(body, [body], [], random) : body;
  } catch {
    // What this serializer has no form for comes as another content than it says.
    return struck(random.pick(originals), originals, [], random);
  }
}

function bodyTarget(name: string, originals: readonly Uint8Array[], headersOf: (random: Random) => object): Target {
  const target: Target<Content> = {
    name,
    make: (random) => {
      const { message, compression } = madeContent(originals, random);
      return { message: { ...message, headers: { ...headersOf(random) } }, compression };
    },
    read: async ({ message, compression }) => {
      if (!compression) return receive(message);
      const { body, contentType } = await compress(message.body, compression);
      return receive({ ...message, body, headers: { ...message.headers, compression: contentType } });
    },
    show: ({ message, compression }) =>
      `${dumps(message.headers)} ${message.contentType} ${compression} ${show(message.body)}`,
  };
  return target as Target;
}

const [plain] = v2;
const bodyV2 = bodyTarget("body-v2", v2Bodies, (random) =>
  random.chance(0.8) ? (plain?.headers ?? {}) : random.pick(v2).headers,
);
const bodyV1 = bodyTarget("body-v1", v1Bodies, () => ({}));

const binding = Buffer.from('[["a.*.#", "^a\\\\.[^\\\\.]+\\\\..*?$", "q"], ["", "", "celery"]]');
const NAMES = ["123_4-5-6.celery.msg", "..celery.msg", "1_2.../../x.msg", "1_2.a.b.c.msg", ".msg", "1_2..msg"];

const filesystem = bytesTarget(
  "filesystem",
  (random) => {
    if (random.chance(0.4)) return jsonMade([binding], random);
    return random.chance(0.3)
      ? struck(Buffer.from(random.pick(NAMES)), [binding], ["/", "..", ".msg", "\0"], random)
      : jsonMade(envelopeBytes, random);
  },
  (bytes) => {
    const text = Buffer.from(bytes).toString();
    queueOf(text);
    if (text.startsWith("[")) return [...lookup(readTable(text), "topic", "a.b.c.d")];
    return receive(new VirtualDelivery(readEnvelope(text), "celery", "tag", null).message);
  },
);

export const messageTargets: readonly Target[] = [envelope, amqp, bodyV2, bodyV1, filesystem];
