import { isMapping } from "../message/headers.ts";

/**
 * A result as it is handed about: its id, the result it followed, and for a group the members' results.
 * On the wire a nested list, `[[id, parent], null | members]`. Mirrors `celery/result.py as_tuple`.
 */
export interface ResultNode {
  id: string;
  parent: ResultNode | null;
  /** The members of a group; null for a single task. */
  results: ResultNode[] | null;
}

/** The wire's form of {@link ResultNode}. */
export type ResultTuple = [[id: string, parent: ResultTuple | null], ResultTuple[] | null];

export function asTuple(node: ResultNode): ResultTuple {
  return [[node.id, node.parent && asTuple(node.parent)], node.results ? node.results.map(asTuple) : null];
}

/**
 * Reads what {@link asTuple} wrote, in Python or here; also Celery's older forms, a bare id and `[id, members]`.
 * @returns null for anything else
 */
export function fromTuple(value: unknown): ResultNode | null {
  if (typeof value === "string") return { id: value, parent: null, results: null };
  if (!Array.isArray(value) || value.length !== 2 || isMapping(value[0])) return null;
  const [head, members] = value;
  const [id, parent] = Array.isArray(head) ? head : [head, null];
  if (typeof id !== "string") return null;
  return {
    id,
    parent: parent ? fromTuple(parent) : null,
    results: Array.isArray(members) ? members.map(fromTuple).filter((node) => node !== null) : null,
  };
}

/** Whether a group has members that are groups themselves. */
export function isNested({ results }: ResultNode): boolean {
  return results?.some((result) => result.results) ?? false;
}

/** The ids of all tasks in a result, those of groups within groups too. */
export function leavesOf({ id, results }: ResultNode): string[] {
  return results ? results.flatMap(leavesOf) : [id];
}
