import { DecodeError, InflatedSizeExceeded, SerializerNotInstalled } from "../app/errors.ts";
import type { CompressionMethod } from "./method.ts";
import { optionalPackage } from "./optional-package.ts";
import { nodeZstd } from "./zlib.ts";
import { type ZstdFrame, zstdFrames } from "./zstd-frames.ts";

/** What is used of @bokuweb/zstd-wasm, zstd compiled to WebAssembly. */
interface ZstdWasm {
  init(): Promise<void>;
  compress(body: Uint8Array, level: number): Uint8Array;
  /** @param options bytes to make room for when a frame does not say how many it needs */
  decompress(body: Uint8Array, options: { defaultHeapSize: number }): Uint8Array;
}

/** Python's level, and zstd's own. */
const LEVEL = 3;

type Zstd = Pick<CompressionMethod, "compress" | "decompress">;

/** Node's own from 22.15 on; before that a package. */
export const zstd: CompressionMethod = {
  contentType: "application/zstd",
  names: ["zstd", "zstandard"],
  ...(nodeZstd ? ownZstd(nodeZstd) : wasmZstd()),
};

function ownZstd({ compress, decompress }: Zstd): Zstd {
  return { compress, decompress: frameByFrame(({ bytes }, room) => decompress(bytes, room)) };
}

/** Exported for tests on newer Node: what older ones use. */
export function wasmZstd(): Zstd {
  return {
    async compress(body) {
      const wasm = await zstdWasm();
      return wasm.compress(body, LEVEL);
    },
    decompress: frameByFrame(async ({ bytes, bound }, room) => {
      const wasm = await zstdWasm();
      return wasm.decompress(bytes, { defaultHeapSize: Math.max(1, Math.min(bound, room)) });
    }),
  };
}

/**
 * Neither Node nor the package reads more than one frame, and Node gives what there is of one that was cut off.
 *
 * @param inflate is given no frame that says that it needs more than the room that is left
 */
function frameByFrame(inflate: (frame: ZstdFrame, room: number) => Promise<Uint8Array>): Zstd["decompress"] {
  return async (body, limit) => {
    const parts: Uint8Array[] = [];
    let room = limit;
    for (const frame of zstdFrames(body)) {
      if (frame.size !== null && frame.size > room) throw new InflatedSizeExceeded(limit);
      const part = await inflated(frame, room, limit, inflate);
      room -= part.length;
      parts.push(part);
    }
    return Buffer.concat(parts);
  };
}

async function inflated(
  frame: ZstdFrame,
  room: number,
  limit: number,
  inflate: (frame: ZstdFrame, room: number) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  let part: Uint8Array;
  try {
    part = await inflate(frame, room);
  } catch (cause) {
    if (cause instanceof SerializerNotInstalled) throw cause;
    // The package says no more than that it failed; without a size told, the room may have been the reason.
    const mayExceed = cause instanceof InflatedSizeExceeded || (frame.size === null && frame.bound > room);
    if (mayExceed) throw new InflatedSizeExceeded(limit, { cause });
    throw new DecodeError(`the content cannot be inflated as zstd: ${(cause as Error).message}`, { cause });
  }
  if (part.length > room) throw new InflatedSizeExceeded(limit);
  if (frame.size === null || frame.size === part.length) return part;
  throw new DecodeError(`the content cannot be inflated as zstd: ${part.length} bytes in the place of ${frame.size}`);
}

/** Compiled once: a second time would take the memory away from whoever uses it at the moment. */
let loading: Promise<ZstdWasm> | undefined;

function zstdWasm(): Promise<ZstdWasm> {
  loading ??= loadZstd().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function loadZstd(): Promise<ZstdWasm> {
  const wasm = await optionalPackage<ZstdWasm>("@bokuweb/zstd-wasm", "zstd");
  await wasm.init();
  return wasm;
}
