import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** What was captured from Celery, by the name of a file of `interop/vectors`; run from the project's folder. */
export function captured<V>(name: string): V[] {
  return JSON.parse(readFileSync(resolve("interop/vectors", `${name}.json`), "utf8")).vectors as V[];
}

export function fromBase64(text: string): Buffer<ArrayBuffer> {
  return Buffer.from(text, "base64");
}
