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
    throw unreadable(file, error as Partial<Complaint>);
  }
};

/** What the library says of a module. */
interface Complaint {
  message: string;
  /** The line, and a mark below what is wrong in it. */
  snippet: string;
  startLine: number;
}

/** Without a stack, which would be that of the loader. */
function unreadable(file: string, { message, snippet, startLine }: Partial<Complaint>): SyntaxError {
  const where = startLine === undefined ? file : `${file}:${startLine}`;
  const error = new SyntaxError([`${where}: ${message}`, snippet?.trimEnd()].filter(Boolean).join("\n"));
  error.stack = String(error);
  return error;
}
