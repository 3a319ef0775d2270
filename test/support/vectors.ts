import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../../interop/vectors");

/** What was captured from Celery: the vectors of one file of `interop/vectors`. */
export function vectors<V>(name: string): V[] {
  return JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")).vectors as V[];
}

/** @throws Error when no vector has that name */
export function named<V extends { name: string }>(name: string, wanted: string): V {
  const found = vectors<V>(name).find((vector) => vector.name === wanted);
  if (!found) throw new Error(`no vector ${wanted} in ${name}`);
  return found;
}
