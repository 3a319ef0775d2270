import { DecodeError } from "../errors.ts";
import { loads } from "../serialization/json-reader.ts";
import { dumps } from "../serialization/json-writer.ts";
import type { Binding } from "./virtual.ts";

/** Names and contents of what kombu's filesystem transport keeps. Mirrors `kombu/transport/filesystem.py`. */

/**
 * The name of a message's file: whose turn it is, something unique, and its queue.
 * @param monotonicMs milliseconds since the machine started: the order in which messages are taken
 */
export function messageFile(monotonicMs: number, unique: string, queue: string): string {
  return `${monotonicMs}_${unique}.${queue}.msg`;
}

/** False for a queue whose name would lead a file out of its folder; kombu has no file for it either. */
export function isQueueFileName(queue: string): boolean {
  return !/[/\\\0]/.test(queue);
}

/** The queue of a message's file, undefined for a file of another kind. The queue begins after the first dot. */
export function queueOf(file: string): string | undefined {
  const dot = file.indexOf(".");
  if (dot < 1 || !file.endsWith(".msg") || file.length < dot + 5) return undefined;
  return file.slice(dot + 1, -4);
}

/** The earlier file first. Python goes by the names' characters, which is the same while times have as many digits. */
export function byTurn(one: string, other: string): number {
  const difference = Number.parseInt(one, 10) - Number.parseInt(other, 10);
  if (difference) return difference;
  return one < other ? -1 : 1;
}

/** The file in the control folder that holds an exchange's bindings; undefined for a name that kombu refuses. */
export function exchangeFile(exchange: string): string | undefined {
  const allowed = exchange === "" || (/^[A-Za-z0-9._-]+$/.test(exchange) && /[^.]/.test(exchange));
  return allowed ? `${exchange}.exchange` : undefined;
}

/** An exchange's bindings as kombu writes them, the latest first. */
export function dumpTable(bindings: readonly Binding[]): string {
  return dumps(bindings.map(({ routingKey, pattern, queue }) => [routingKey, pattern, queue]));
}

/** @throws DecodeError when the text is no table */
export function readTable(text: string): Binding[] {
  const rows = loads(text);
  if (!Array.isArray(rows)) throw new DecodeError("not a table of bindings");
  return rows.map((row: unknown) => {
    if (!Array.isArray(row)) throw new DecodeError("not a table of bindings");
    const [routingKey, pattern, queue] = row.map((value) => (typeof value === "string" ? value : ""));
    return { routingKey: routingKey ?? "", pattern: pattern ?? "", queue: queue ?? "" };
  });
}
