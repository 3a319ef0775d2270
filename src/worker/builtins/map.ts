import { groupOf, readSignature, type SignatureData, signature } from "../../../protocol/canvas/signature.ts";
import { NotRegistered } from "../../app/errors.ts";
import type { Self, TaskDefinition } from "../../app/task.ts";
import type { WorkerContext } from "../context.ts";
import { selfInPlace } from "../self.ts";
import { type Builtin, type BuiltinContext, builtin } from "./builtin.ts";

/** A list of calls of one task, as one task. Mirrors `celery/app/builtins.py add_map_task`. */
export const map: Builtin = (context) => calls(context, "celery.map", (item) => [item]);

/** The same, of calls with several arguments. Mirrors `celery/app/builtins.py add_starmap_task`. */
export const starmap: Builtin = (context) => calls(context, "celery.starmap", (item) => item as unknown[]);

function calls(context: BuiltinContext, name: string, argumentsOf: (item: unknown) => unknown[]): TaskDefinition {
  return builtin(
    context,
    { name, parameters: ["task", "it"], forwards: false },
    (self: Self, task: unknown, it: unknown[]) =>
      callEach(context.worker, self, readSignature(task), it.map(argumentsOf)),
  );
}

/** One after the other, as calls in place: none of them is a task of its own. */
async function callEach(
  { tasks, name: appName, log, sendEvent }: WorkerContext,
  self: Self,
  { task: name }: SignatureData,
  calls: unknown[][],
): Promise<unknown[]> {
  const definition = tasks.get(name);
  if (!definition) throw new NotRegistered(name);
  const results: unknown[] = [];
  for (const args of calls) {
    self.signal.throwIfAborted();
    const inPlace = { ...selfInPlace(name, { name: appName, log, sendEvent }), signal: self.signal };
    results.push(await definition.call(await definition.bind(args, {}), inPlace));
  }
  return results;
}

/** Calls cut into pieces: a group of {@link starmap} tasks. Mirrors `celery/canvas.py chunks.apply_chunks`. */
export const chunks: Builtin = (context) =>
  builtin(
    context,
    { name: "celery.chunks", parameters: ["task", "it", "n"] },
    (_: Self, task: unknown, it: unknown[], n: unknown) =>
      context.worker.canvas.apply(chunkGroup(readSignature(task), it, Number(n)), [], {}, {}),
  );

/** @param size the most calls that one piece has */
export function chunkGroup(task: SignatureData, it: readonly unknown[], size: number): SignatureData {
  const pieces: SignatureData[] = [];
  for (let at = 0; at < it.length; at += Math.max(1, size)) {
    pieces.push(signature("celery.starmap", [], { task, it: it.slice(at, at + size) }, {}, true));
  }
  return groupOf(pieces);
}
