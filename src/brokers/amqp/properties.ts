import type { ConsumeMessage, MessageProperties as DriverProperties, Options } from "amqplib";
import { DecodeError, EncodeError } from "../../../protocol/errors.ts";
import type { Message, MessageProperties } from "../../../protocol/message/message.ts";
import { MAX_DEPTH } from "../../../protocol/serialization/json-depth.ts";
import { setOwn } from "../../../protocol/serialization/own-key.ts";
import { tableValues } from "./table-values.ts";

/** The names of AMQP's basic properties on the wire, and the driver's for them. */
const NAMES = [
  ["correlation_id", "correlationId"],
  ["reply_to", "replyTo"],
  ["delivery_mode", "deliveryMode"],
  ["priority", "priority"],
  ["expiration", "expiration"],
  ["message_id", "messageId"],
  ["timestamp", "timestamp"],
  ["type", "type"],
  ["user_id", "userId"],
  ["app_id", "appId"],
] as const satisfies readonly (readonly [string, keyof DriverProperties])[];

/**
 * What the driver publishes a message with. Properties that AMQP does not have are left out, as py-amqp does.
 * @throws EncodeError for a header or a property that AMQP cannot carry
 */
export function publishOptions({ headers, properties, contentType, contentEncoding }: Message): Options.Publish {
  const options: Record<string, unknown> = { contentType, contentEncoding, headers: headerTable(headers) };
  for (const [name, driverName] of NAMES) {
    const value = properties[name];
    if (value !== undefined && value !== null) options[driverName] = value;
  }
  if (properties.expiration !== undefined && properties.expiration !== null) {
    options.expiration = expirationText(properties.expiration);
  }
  if (properties.timestamp instanceof Date) options.timestamp = Math.floor(properties.timestamp.getTime() / 1000);
  return options as Options.Publish;
}

/** An error of the driver's about a message that it cannot write, with what to do about it. */
export function encodeError(error: Error): EncodeError {
  const isTooLarge = error.message.includes("byte encoding buffer");
  const text = isTooLarge
    ? "the headers are larger than 64 KiB, which is the most that the AMQP driver writes: put large values into the arguments"
    : `the message cannot be sent over AMQP: ${error.message}`;
  return new EncodeError(text, { cause: error });
}

/** A message as the driver delivers it. @throws DecodeError when its headers could not be read */
export function readMessage({ content, properties }: ConsumeMessage): Message {
  const headers: unknown = properties.headers ?? {};
  if (headers instanceof Error) throw headers;
  ownKeys(headers, 0);
  const read: Record<string, unknown> = {};
  for (const [name, driverName] of NAMES) {
    const value = properties[driverName];
    if (value !== undefined) read[name] = value;
  }
  return {
    body: content,
    contentType: properties.contentType ?? "",
    contentEncoding: properties.contentEncoding ?? "utf-8",
    headers: headers as Message["headers"],
    properties: read as MessageProperties,
  };
}

/**
 * The driver sets keys by assignment, so that what came as `__proto__` is the prototype of its table: it is made a key.
 * @throws DecodeError for tables nested too deeply for whoever walks them
 */
function ownKeys(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if (depth > MAX_DEPTH) throw new DecodeError("the headers are nested too deeply");
  if (Array.isArray(value)) {
    for (const item of value) ownKeys(item, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype) {
    Object.setPrototypeOf(value, Object.prototype);
    setOwn(value, "__proto__", prototype);
  }
  for (const key of Object.keys(value)) {
    ownKeys(Object.getOwnPropertyDescriptor(value, key)?.value, depth + 1);
  }
}

function headerTable(headers: Message["headers"]): Record<string, unknown> {
  try {
    return tableValues(headers);
  } catch (error) {
    throw error instanceof EncodeError ? error : encodeError(error as Error);
  }
}

/** The broker closes the channel over text that is no number. */
function expirationText(expiration: unknown): string {
  const text = String(expiration);
  if (/^\d+$/.test(text)) return text;
  throw new EncodeError(`expiration cannot be ${JSON.stringify(expiration)}: it is a number of milliseconds`);
}
