import { readFile } from "node:fs/promises";
import type { LoadHook } from "node:module";
import { fileURLToPath } from "node:url";
import { transform } from "@swc/wasm-typescript";

/**
 * Strips the types of `.ts` and `.mts` modules, as newer versions of Node do: what is not erasable (enums, namespaces
 * with values, parameter properties) is an error. Run by Node in its loader thread.
 */
export const load: LoadHook = async (url, context, nextLoad) => {
  if (!/\.m?ts(\?.*)?$/.test(url) || !url.startsWith("file:")) return nextLoad(url, context);
  const file = fileURLToPath(url);
  try {
    const { code } = await transform(await readFile(file, "utf8"), { mode: "strip-only", filename: file });
    return { format: "module", source: code, shortCircuit: true };
  } catch (error) {
    throw new SyntaxError(`${file}: ${describe(error)}`);
  }
};

function describe(error: unknown): string {
  const { message } = error as { message?: string };
  return message ?? String(error);
}
