import { randomUUID } from "node:crypto";
import { freeze } from "../../protocol/canvas/freeze.ts";
import { readSignature } from "../../protocol/canvas/signature.ts";
import type { Embed } from "../../protocol/message/embed.ts";
import { NotImplementedError } from "../app/errors.ts";
import type { AsyncResult } from "../app/result.ts";
import { Signature } from "../app/signature.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";
import { NO_CHORD } from "./self.ts";

/**
 * Makes a signature one more part of the chord that a running task is in. Mirrors `celery/app/task.py Task.add_to_chord`.
 *
 * @param embed the task's own, every value as it came
 * @returns the result, or with `lazy` the signature, for the task to send
 * @throws RangeError when the task is in no chord; NotImplementedError on a backend that cannot add to one
 */
export async function addToChord(
  context: WorkerContext,
  request: Request,
  embed: Embed,
  given: Signature,
  { lazy = false }: { lazy?: boolean },
): Promise<AsyncResult | Signature> {
  const { group, group_index, root_id } = request.headers;
  if (!embed.chord || !group) throw new RangeError(NO_CHORD);
  const { chords } = await context.backend();
  if (!chords) throw new NotImplementedError("Backend does not support add_to_chord");
  const sig = given.clone().toJSON();
  Object.assign(sig.options, {
    group_id: group,
    ...(group_index !== null && { group_index }),
    chord: readSignature(embed.chord),
    ...(root_id !== null && { root_id }),
  });
  freeze(sig, {}, { newId: () => randomUUID(), replyTo: request.replyTo ?? "" });
  await chords.addPart(group);
  return lazy ? new Signature(context.canvas, sig) : context.canvas.apply(sig, [], {}, {});
}
