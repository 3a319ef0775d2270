import type { ChannelModel } from "amqplib";

/** What the driver's connection reads frames by, which its types do not show. */
interface FrameReader {
  rest: Buffer;
  recvFrame(): unknown;
}

const HEADER_FRAME = 2;
const FRAME_HEADER_BYTES = 7;
/** Of a content header: class, weight and size of the body come before the flags. */
const FLAGS_AT = 12;
const HAS_CONTENT_TYPE = 0x8000;
const HAS_CONTENT_ENCODING = 0x4000;
const HAS_HEADERS = 0x2000;

/** Tables within tables that are looked into. */
const MAX_DEPTH = 100;

/** Bytes of the values that have a length of their own type. */
const WIDTHS: Readonly<Record<string, number>> = {
  b: 1,
  B: 1,
  t: 1,
  s: 2,
  u: 2,
  I: 4,
  i: 4,
  f: 4,
  D: 5,
  d: 8,
  l: 8,
  L: 8,
  T: 8,
  V: 0,
};

/**
 * Lets the driver read integers beyond 32 bits as py-amqp writes them: under the tag `L`, where RabbitMQ and the driver
 * have `l` for the same eight bytes. Without that, one header of such a number ends the connection, and again whenever
 * the message is delivered. Mirrors `amqp/serialization.py _write_item`.
 */
export function readLongIntegers(model: ChannelModel): void {
  const reader = model.connection as unknown as FrameReader;
  const { recvFrame } = reader;
  reader.recvFrame = () => {
    retagFrame(reader.rest);
    return recvFrame.call(reader);
  };
}

/** Changes the tags in the headers of a message whose frame comes first; leaves alone what is no such frame, or no whole one. */
export function retagFrame(bytes: Buffer): void {
  if (bytes.length < FRAME_HEADER_BYTES + FLAGS_AT + 2 || bytes[0] !== HEADER_FRAME) return;
  const end = FRAME_HEADER_BYTES + bytes.readUInt32BE(3);
  if (bytes.length <= end) return;
  const payload = bytes.subarray(FRAME_HEADER_BYTES, end);
  if (!payload.includes("L")) return;
  try {
    const flags = payload.readUInt16BE(FLAGS_AT);
    if (!(flags & HAS_HEADERS)) return;
    let at = FLAGS_AT + 2;
    if (flags & HAS_CONTENT_TYPE) at += 1 + payload.readUInt8(at);
    if (flags & HAS_CONTENT_ENCODING) at += 1 + payload.readUInt8(at);
    retagFields(payload, at, true, 0);
  } catch (error) {
    // What is cut short is the driver's to refuse.
    if (!(error instanceof RangeError)) throw error;
  }
}

/** @param hasNames true for a table, false for an array; both begin with their length. @returns where it ends */
function retagFields(payload: Buffer, start: number, hasNames: boolean, depth: number): number {
  let at = start + 4;
  const end = at + payload.readUInt32BE(start);
  while (at < end) {
    if (hasNames) at += 1 + payload.readUInt8(at);
    const tag = String.fromCharCode(payload.readUInt8(at));
    if (tag === "L") payload[at] = "l".charCodeAt(0);
    at++;
    const width = WIDTHS[tag];
    if (width !== undefined) at += width;
    else if (tag === "S" || tag === "x") at += 4 + payload.readUInt32BE(at);
    else if ((tag === "F" || tag === "A") && depth < MAX_DEPTH) at = retagFields(payload, at, tag === "F", depth + 1);
    else return end;
  }
  return end;
}
