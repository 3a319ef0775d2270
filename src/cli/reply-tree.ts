import { dumps } from "../../protocol/serialization/json-writer.ts";

/** What a worker replied, to be read. Mirrors `celery/bin/base.py CLIContext.pretty`. */
export interface ShownReply {
  /** False when the reply is an error. */
  ok: boolean;
  /** Lines of text. */
  lines: string[];
}

/** A reply as an indented tree: `key: value`, `* item`; `{ ok }` and `{ error }` are taken apart. */
export function shownReply(reply: unknown): ShownReply {
  if (isMapping(reply)) {
    if ("ok" in reply) return { ok: true, lines: tree(reply.ok) };
    if ("error" in reply) return { ok: false, lines: tree(reply.error) };
  }
  return { ok: true, lines: reply === null ? [] : tree(reply) };
}

function tree(value: unknown): string[] {
  if (Array.isArray(value)) return value.length === 0 ? ["- empty -"] : value.flatMap(item);
  if (isMapping(value)) {
    const entries = Object.entries(value);
    return entries.length === 0 ? ["- empty -"] : entries.flatMap(([key, inner]) => field(key, inner));
  }
  return typeof value === "string" ? value.replace(/^\n+|\n+$/g, "").split("\n") : [dumps(value)];
}

function item(value: unknown): string[] {
  const [first = "", ...rest] = tree(value);
  return [`* ${first}`, ...rest.map((line) => `  ${line}`)];
}

function field(key: string, value: unknown): string[] {
  if (!isBranch(value)) return [`${key}: ${typeof value === "string" ? value : dumps(value)}`];
  return [`${key}:`, ...tree(value).map((line) => `    ${line}`)];
}

/** What takes lines of its own: a list of numbers does not. */
function isBranch(value: unknown): boolean {
  if (Array.isArray(value)) return value.some((inner) => typeof inner === "object" && inner !== null);
  return isMapping(value) && Object.keys(value).length > 0;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
