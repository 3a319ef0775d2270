import { DecodeError } from "../app/errors.ts";

/** One frame of zstd content, and what it comes to. */
export interface ZstdFrame {
  bytes: Uint8Array;
  /** Bytes that it says itself that it comes to; null when it does not say. */
  size: number | null;
  /** Bytes that its blocks can come to at most. */
  bound: number;
}

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

/** No block comes to more. */
const BLOCK_MAXIMUM = 128 * 1024;

const DICTIONARY_ID_BYTES = [0, 1, 2, 4];

/**
 * The frames of zstd content, without what has to be skipped: so that it is known what each comes to before anything
 * is inflated. Mirrors the frame format of RFC 8878.
 *
 * @throws DecodeError when it is no zstd
 */
export function zstdFrames(bytes: Uint8Array): ZstdFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: ZstdFrame[] = [];
  try {
    for (let at = 0; at < bytes.length; ) {
      const magic = view.getUint32(at, true);
      if ((magic & 0xffff_fff0) >>> 0 === SKIPPABLE_MAGIC) {
        at += 8 + view.getUint32(at + 4, true);
        continue;
      }
      if (magic !== FRAME_MAGIC) throw new RangeError("no frame");
      const { size, blocks, checksum } = header(view, at + 4);
      const { end, bound } = blocksEnd(view, blocks);
      const next = end + (checksum ? 4 : 0);
      if (next > bytes.length) throw new RangeError("a frame that ends too early");
      frames.push({ bytes: bytes.subarray(at, next), size, bound });
      at = next;
    }
  } catch (cause) {
    throw new DecodeError(`the content cannot be inflated as zstd: ${(cause as Error).message}`, { cause });
  }
  return frames;
}

/** @returns where the blocks begin, and what the header tells */
function header(view: DataView, at: number): { size: number | null; blocks: number; checksum: boolean } {
  const descriptor = view.getUint8(at);
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const field = at + 1 + (single ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] as number);
  const sizeBytes = sizeFlag === 0 ? Number(single) : 2 ** sizeFlag;
  return { size: contentSize(view, field, sizeBytes), blocks: field + sizeBytes, checksum: (descriptor & 4) !== 0 };
}

function contentSize(view: DataView, at: number, bytes: number): number | null {
  switch (bytes) {
    case 0:
      return null;
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    default:
      return Number(view.getBigUint64(at, true));
  }
}

function blocksEnd(view: DataView, start: number): { end: number; bound: number } {
  let bound = 0;
  for (let at = start; ; ) {
    const head = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (head >> 1) & 3;
    const size = head >> 3;
    if (type === 3) throw new RangeError("no such block");
    bound += type === 2 ? BLOCK_MAXIMUM : size;
    at += 3 + (type === 1 ? 1 : size);
    if (head & 1) return { end: at, bound };
  }
}
