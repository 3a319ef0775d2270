import { chordOf, clone, readSignature, type SignatureData } from "../../../protocol/canvas/signature.ts";
import { mappingOf } from "../../../protocol/message/headers.ts";
import { fromTuple } from "../../../protocol/result/result-tuple.ts";
import { NotImplementedError } from "../../app/errors.ts";
import { resultFromNode } from "../../app/result.ts";
import type { Self } from "../../app/task.ts";
import { type Builtin, builtin } from "./builtin.ts";

/** Never was a task; a caller is told so. Mirrors `celery/app/builtins.py add_chain_task`. */
export const chain: Builtin = (context) =>
  builtin(context, { name: "celery.chain", parameters: ["*args", "**kwargs"] }, () => {
    throw new NotImplementedError("chain is not a real task");
  });

/** Sends a group's tasks: how Celery up to 3 sent groups. Mirrors `celery/app/builtins.py add_group_task`. */
export const group: Builtin = (context) =>
  builtin(
    context,
    {
      name: "celery.group",
      parameters: ["tasks", "result", "group_id", "partial_args", "add_to_parent"],
    },
    async (
      _: Self,
      tasks: unknown[],
      result: unknown,
      groupId: string,
      partialArgs: unknown[],
      addToParent: unknown = true,
    ) => {
      const { canvas, results } = context.worker;
      const node = fromTuple(result);
      if (!node) throw new TypeError("the result of a group must be that of its tasks");
      await Promise.all(
        tasks.map((task) =>
          canvas.apply(readSignature(task), partialArgs, {}, { group_id: groupId, add_to_parent: false }),
        ),
      );
      if (addToParent) canvas.addToParent(node);
      return resultFromNode(results, node);
    },
  );

/** Sends a chord: how Celery up to 3 sent chords. Mirrors `celery/app/builtins.py add_chord_task`. */
export const chord: Builtin = (context) =>
  builtin(
    context,
    {
      name: "celery.chord",
      ignoreResult: false,
      parameters: ["header", "body", "partial_args", "interval", "countdown", "max_retries", "eager", "**kwargs"],
    },
    (
      _: Self,
      header: unknown,
      body: unknown,
      partialArgs: unknown[] = [],
      interval: unknown = null,
      countdown: unknown = 1,
      maxRetries: unknown = null,
    ) => {
      const sig = chordOf(headerOf(header), clone(readSignature(body)));
      return context.worker.canvas.apply(sig, partialArgs, {}, { interval, max_retries: maxRetries, countdown });
    },
  );

function headerOf(header: unknown): SignatureData[] | SignatureData {
  return mappingOf(header) ? clone(readSignature(header)) : (header as unknown[]).map(readSignature).map(clone);
}
