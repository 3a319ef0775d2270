import { DecodeError } from "../errors.ts";
import { Expansion } from "../serialization/expansion.ts";
import { unpickle } from "../serialization/pickle.ts";
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

/** @throws DecodeError when the pickle is of anything else, or stands for more results than any group has */
export function loadPickledGroup(bytes: Uint8Array): ResultNode {
  const made = new Set<unknown>();
  const isNode = (value: unknown): value is ResultNode => made.has(value);
  const construct = (name: string, args: readonly unknown[]): unknown => {
    // Also the backends that the results came from are in the pickle; they are of no use here.
    const node = resultNode(name, args, isNode);
    if (node) made.add(node);
    return node;
  };
  const value = unpickle(bytes, { exceptions: new Set(), forward: false, construct });
  if (!isNode(value)) throw new DecodeError("the pickle is no GroupResult");
  checkExpansion(value, new Expansion(bytes.length));
  return value;
}

function resultNode(
  name: string,
  [id, second, third, , fifth]: readonly unknown[],
  isNode: (value: unknown) => value is ResultNode,
): ResultNode | null {
  if (name !== `${MODULE}.GroupResult` && name !== `${MODULE}.AsyncResult`) return null;
  if (typeof id !== "string") throw new DecodeError("the id of a pickled result is no text");
  if (name === `${MODULE}.AsyncResult`) return { id, parent: isNode(fifth) ? fifth : null, results: null };
  const results = Array.isArray(second) ? second.filter(isNode) : [];
  return { id, parent: isNode(third) ? third : null, results };
}

/** Results may be shared, so that a few of them stand for billions once somebody walks them. */
function checkExpansion(node: ResultNode, expansion: Expansion): void {
  expansion.container(node, () => {
    if (node.parent) checkExpansion(node.parent, expansion);
    for (const member of node.results ?? []) checkExpansion(member, expansion);
  });
}

function call({ id, parent, results }: ResultNode): PythonCall {
  if (results) return new PythonCall(MODULE, "GroupResult", [id, results.map(call), ...(parent ? [call(parent)] : [])]);
  return new PythonCall(MODULE, "AsyncResult", [id, null, null, null, parent && call(parent)]);
}
