import { clone, readSignature, type SignatureData } from "../../../protocol/canvas/signature.ts";
import { exceptionRepr } from "../../../protocol/result/exception.ts";
import { fromTuple, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../../protocol/result/states.ts";
import { ChordError } from "../../app/errors.ts";
import { pythonException } from "../../app/exception.ts";
import { GroupResult, resultFromNode } from "../../app/result.ts";
import type { RetryOptions, Self } from "../../app/task.ts";
import type { WorkerContext } from "../context.ts";
import { RequestedRetry } from "../self.ts";
import { type Builtin, type BuiltinContext, builtin } from "./builtin.ts";

/** How many results are asked for at a time. */
const BATCH = 50;

/**
 * Looks whether a chord's header is done, again and again, and then sends its body: how chords are joined on result
 * backends that do not count the parts. Mirrors `celery/app/builtins.py add_unlock_chord_task`.
 */
export const chordUnlock: Builtin = (context) => {
  const { resultChordRetryInterval } = context.worker.settings;
  return builtin(
    context,
    {
      name: "celery.chord_unlock",
      maxRetries: null,
      defaultRetryDelay: resultChordRetryInterval,
      ignoreResult: true,
      parameters: [
        ...["group_id", "callback", "interval", "max_retries", "result"],
        ...["_chord_unlock_exchange_type", "**kwargs"],
      ],
    },
    async (
      self: Self,
      groupId: string,
      callback: unknown,
      // Numbers come as they were written.
      interval: unknown = null,
      maxRetries: unknown = null,
      result: unknown[] = [],
      exchangeType: string | null = null,
    ) => {
      const header = result.map(fromTuple).filter((node) => node !== null);
      const chord = { groupId, body: readSignature(callback), header };
      const again: RetryOptions = {
        countdown: interval === null ? resultChordRetryInterval : Number(interval),
        // Not left to the broker: what it delivers does not say it.
        ...(exchangeType !== null && { exchangeType }),
        ...(maxRetries !== null && { maxRetries: Number(maxRetries) }),
      };
      await unlock(context, self, chord, again);
    },
  );
};

/** A chord whose header may be done. */
interface LockedChord {
  groupId: string;
  body: SignatureData;
  header: ResultNode[];
}

/** @throws RequestedRetry while the header is not done; MaxRetriesExceededError */
async function unlock(
  { worker, failBody }: BuiltinContext,
  self: Self,
  { groupId, body, header }: LockedChord,
  again: RetryOptions,
): Promise<void> {
  const deps = new GroupResult(
    worker.results,
    groupId,
    header.map((node) => resultFromNode(worker.results, node)),
  );
  const shown = (error: unknown): string => exceptionRepr(pythonException(error, worker.name));
  const fail = async (reason: string, cause: unknown): Promise<void> => {
    worker.log.error({ err: cause, group: groupId }, `Chord ${groupId} raised: ${reason}`);
    await failBody(body, new ChordError(reason, { cause }));
  };

  const looked = await isReady(worker, header).catch((error: Error) => error);
  if (looked !== true) {
    const next = self.retry(looked instanceof Error ? { ...again, exc: looked } : again);
    // Nobody would look again: to leave the body as it is would be to leave it so for ever.
    if (!(next instanceof RequestedRetry)) await fail(`chord_unlock could not be retried: ${shown(next)}`, next);
    throw next;
  }

  let results: unknown[];
  try {
    const timeout = worker.settings.resultChordJoinTimeout;
    results = await deps.get({ ...(timeout && { timeout }) });
  } catch (error) {
    // Celery would name the member as well, but looks for it where failures never are.
    await fail(shown(error), error);
    return;
  }
  try {
    await worker.canvas.apply(clone(body), [results], {}, {});
  } catch (error) {
    await fail(`Callback error: ${shown(error)}`, error);
  }
}

/** True when every result, down to the members of groups, is there. Stops at the first piece that has one missing. */
async function isReady({ backend: connected }: WorkerContext, header: readonly ResultNode[]): Promise<boolean> {
  const backend = await connected();
  const taskIds = leaves(header);
  for (let at = 0; at < taskIds.length; at += BATCH) {
    const metas = await Promise.all(taskIds.slice(at, at + BATCH).map((taskId) => backend.getTaskMeta(taskId)));
    if (!metas.every(({ status }) => READY_STATES.has(status))) return false;
  }
  return true;
}

function leaves(nodes: readonly ResultNode[]): string[] {
  return nodes.flatMap((node) => (node.results ? leaves(node.results) : [node.id]));
}
