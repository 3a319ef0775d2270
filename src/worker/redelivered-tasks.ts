import { WorkerLostError } from "../app/errors.ts";
import type { WorkerContext } from "./context.ts";
import { type FollowUp, identityOf } from "./follow-up.ts";
import type { RedeliveryBudget } from "./redelivery-budget.ts";
import type { Request } from "./request.ts";
import { type ResultWriter, shownError } from "./result-writer.ts";
import { BodyReader, isEmpty } from "./task-body.ts";
import type { TaskVoice } from "./task-voice.ts";

/** What the look at redelivered tasks needs of the tracer. */
export interface RedeliveredTasksOptions {
  context: WorkerContext;
  results: ResultWriter;
  followUp: FollowUp;
  budget: RedeliveryBudget;
  voice: TaskVoice;
}

/** Looks at tasks that were delivered before, and runs none that need not run or must not any more. */
export class RedeliveredTasks {
  readonly #options: RedeliveredTasksOptions;
  readonly #bodies: BodyReader;

  constructor(options: RedeliveredTasksOptions) {
    this.#options = options;
    this.#bodies = new BodyReader(options.context);
  }

  /**
   * Ends a late acknowledged task that was delivered before and need not run: it succeeded meanwhile, or was lost with
   * its worker too often. Mirrors `worker_deduplicate_successful_tasks` in `celery/app/trace.py`.
   */
  async dropIfDone(request: Request): Promise<boolean> {
    if (!request.definition.acksLate) return false;
    if (this.#options.context.settings.workerDeduplicateSuccessfulTasks && (await this.#dropIfSucceeded(request)))
      return true;
    const { results, followUp, voice } = this.#options;
    const lost = await this.#options.budget.exhausted(request);
    if (lost === undefined) return false;
    const error = new WorkerLostError(`Worker exited prematurely: lost ${lost} times with this task.`);
    voice.log(request, "error", `was lost with its worker ${lost} times (taskRedeliveryLimit), and is given up`);
    const [args, kwargs, embed] = await this.#bodies.forwardOf(request);
    const recorded = results.record(error);
    if (request.storesErrors) await results.store(request, "FAILURE", recorded.stored, { args, kwargs });
    await followUp.failed({ ...identityOf(request), embed }, error, recorded, request.storesErrors);
    voice.event(request, "task-failed", { exception: shownError(recorded), traceback: recorded.traceback });
    voice.reject(request, false);
    return true;
  }

  async #dropIfSucceeded(request: Request): Promise<boolean> {
    const { followUp, voice } = this.#options;
    const backend = await this.#options.context.backend();
    if (!backend.persistent) return false;
    const { status, result, children } = await backend.getTaskMeta(request.id);
    if (status !== "SUCCESS") return false;
    voice.log(request, "info", "ignored: Task already completed successfully.");
    const [, , embed] = await this.#bodies.forwardOf(request);
    // Children show that what follows was sent.
    if (!isEmpty(embed) && children.length === 0) {
      const priority = this.#options.context.settings.taskInheritParentPriority ? request.priority : null;
      await followUp.succeeded({ ...identityOf(request), embed }, result, priority);
    }
    request.acknowledge();
    return true;
  }
}
