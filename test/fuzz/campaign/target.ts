import type { Random } from "./random.ts";

/** A kind of content that comes from outside, and what reads it. */
export interface Target<M = unknown> {
  readonly name: string;
  /** One message that somebody may send. */
  make(random: Random): M;
  /**
   * Reads it as the product does.
   * @returns a value, or undefined where there is none
   * @throws CeleryError when it is refused
   */
  read(message: M): unknown;
  /** The message as a text that shows all of it. */
  show(message: M): string;
}

/** A target whose messages are bytes. */
export function bytesTarget(
  name: string,
  make: (random: Random) => Uint8Array,
  read: (bytes: Uint8Array) => unknown,
): Target {
  return { name, make, read, show } as Target<Uint8Array> as Target;
}

export function show(bytes: Uint8Array): string {
  return `Buffer.from("${Buffer.from(bytes).toString("base64")}", "base64")`;
}
