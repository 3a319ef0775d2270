import { TaskRevokedError } from "../app/errors.ts";
import type { WorkerContext } from "./context.ts";
import { ResultWriter } from "./result-writer.ts";

/** States of tasks that nobody has begun. */
const NOT_BEGUN: ReadonlySet<string> = new Set(["PENDING", "RECEIVED", "RETRY", "REJECTED"]);

/**
 * Stores REVOKED for tasks that were revoked, so that whoever waits for them knows at once; one that has begun elsewhere
 * is left to that worker. Mirrors `celery/worker/control.py _revoke`.
 */
export async function markRevoked(context: WorkerContext, taskIds: readonly string[]): Promise<void> {
  const backend = await context.backend();
  if (!backend.persistent) return;
  const results = new ResultWriter(context);
  const { stored } = results.record(new TaskRevokedError("revoked"));
  for (const taskId of taskIds) {
    try {
      const { status } = await backend.getTaskMeta(taskId);
      if (NOT_BEGUN.has(status)) await results.storeFor(taskId, undefined, "REVOKED", stored, null);
    } catch (error) {
      context.log.warn({ err: error, id: taskId }, `Failed to mark task ${taskId} as revoked in the backend`);
    }
  }
}
