import { randomUUID } from "node:crypto";
import { linkErrorTo, linkTo, pipe } from "../../protocol/canvas/compose.ts";
import { freeze } from "../../protocol/canvas/freeze.ts";
import { clone, readSignature, type SignatureData, signature, tasksOf } from "../../protocol/canvas/signature.ts";
import type { Embed } from "../../protocol/message/embed.ts";
import { ImproperlyConfigured } from "../app/errors.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";

/**
 * Sends a signature in the place of a running task: under its id, with what followed it.
 * Mirrors `celery/app/task.py Task.replace`.
 *
 * @throws ImproperlyConfigured for a signature that cannot stand for a task; OperationalError
 */
export async function replaceTask(
  context: WorkerContext,
  request: Request,
  embed: Embed,
  replacement: SignatureData,
): Promise<void> {
  if (replacement.options.chord)
    throw new ImproperlyConfigured("A signature replacing a task must not be part of a chord");
  let sig = gathered(replacement);
  for (const callback of embed.callbacks ?? []) linkTo(sig, readSignature(callback));
  for (const errback of embed.errbacks ?? []) linkErrorTo(sig, readSignature(errback));
  if (sig.subtask_type === "chain") moveLinksToLast(sig);
  freeze(sig, { taskId: request.id }, { newId: () => randomUUID(), replyTo: request.replyTo ?? "" });
  const nesting = request.headers.replaced_task_nesting + 1;
  const { group, group_index, root_id } = request.headers;
  const inherited = { chord: embed.chord, group_id: group, group_index, root_id, replaced_task_nesting: nesting };
  Object.assign(sig.options, present(inherited));
  if (sig.subtask_type === "chain") for (const task of tasksOf(sig)) task.options.replaced_task_nesting = nesting;
  for (const rest of [...(embed.chain ?? [])].reverse()) {
    const next = clone(readSignature(rest));
    next.options.replaced_task_nesting = nesting;
    sig = pipe(sig, next);
  }
  await context.canvas.apply(sig, [], {}, {});
}

/** A group has many results and a task has one: a built-in task of every worker's takes the list. */
function gathered(sig: SignatureData): SignatureData {
  const accumulate = (): SignatureData => signature("celery.accumulate", [], { index: 0 });
  if (sig.subtask_type === "group") return pipe(sig, accumulate());
  const last = sig.subtask_type === "chain" ? tasksOf(sig).at(-1) : undefined;
  if (sig.subtask_type === "chain" && !last) throw new ImproperlyConfigured("Cannot replace with an empty chain");
  if (last?.subtask_type !== "group") return sig;
  const copy = clone(sig);
  copy.kwargs.tasks = [...tasksOf(copy).slice(0, -1), pipe(last, accumulate())];
  return copy;
}

function moveLinksToLast(chain: SignatureData): void {
  const { link, ...others } = chain.options;
  const last = tasksOf(chain).at(-1);
  if (!link || !last) return;
  chain.options = others;
  for (const callback of Array.isArray(link) ? link : [link]) linkTo(last, callback as SignatureData);
}

function present(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null && value !== undefined));
}
