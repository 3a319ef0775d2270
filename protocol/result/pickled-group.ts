import { DecodeError } from "../errors.ts";
import { loadPickle } from "./plain-pickle-reader.ts";
import { dumpPickle, PythonCall } from "./plain-pickle-writer.ts";
import type { ResultNode } from "./result-tuple.ts";

const MODULE = "celery.result";

/**
 * A saved group as Celery up to 5.6 keeps it in a database: a pickle of its `GroupResult`. The group's own parent,
 * which Celery leaves out, is given to the constructor as well. Mirrors `celery/result.py __reduce__`.
 */
export function dumpPickledGroup(group: ResultNode): Uint8Array {
  return dumpPickle(call(group));
}

/** @throws DecodeError when the pickle is of anything else */
export function loadPickledGroup(bytes: Uint8Array): ResultNode {
  const made = new Set<unknown>();
  const isNode = (value: unknown): value is ResultNode => made.has(value);
  const value = loadPickle(bytes, (name, args) => {
    // Also the backends that the results came from are in the pickle; they are of no use here.
    const node = resultNode(name, args, isNode);
    if (node) made.add(node);
    return node;
  });
  if (isNode(value)) return value;
  throw new DecodeError("the pickle is no GroupResult");
}

function resultNode(
  name: string,
  [id, second, third, , fifth]: readonly unknown[],
  isNode: (value: unknown) => value is ResultNode,
): ResultNode | null {
  if (name === `${MODULE}.GroupResult`) {
    const results = Array.isArray(second) ? second.filter(isNode) : [];
    return { id: String(id), parent: isNode(third) ? third : null, results };
  }
  if (name !== `${MODULE}.AsyncResult`) return null;
  return { id: String(id), parent: isNode(fifth) ? fifth : null, results: null };
}

function call({ id, parent, results }: ResultNode): PythonCall {
  if (results) return new PythonCall(MODULE, "GroupResult", [id, results.map(call), ...(parent ? [call(parent)] : [])]);
  return new PythonCall(MODULE, "AsyncResult", [id, null, null, null, parent && call(parent)]);
}
