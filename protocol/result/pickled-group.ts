import { PythonCall } from "../serialization/pickle/python-call.ts";
import { pickleDumps } from "../serialization/pickle.ts";
import type { ResultNode } from "./result-tuple.ts";

const MODULE = "celery.result";

/**
 * A saved group as Celery up to 5.6 keeps it in a database: a pickle of its `GroupResult`. The group's own parent,
 * which Celery leaves out, is given to the constructor as well. Mirrors `celery/result.py __reduce__`.
 */
export function dumpPickledGroup(group: ResultNode): Uint8Array {
  return pickleDumps(call(group));
}

function call({ id, parent, results }: ResultNode): PythonCall {
  if (results) return new PythonCall(MODULE, "GroupResult", [id, results.map(call), ...(parent ? [call(parent)] : [])]);
  return new PythonCall(MODULE, "AsyncResult", [id, null, null, null, parent && call(parent)]);
}
