import { Retry, TaskRevokedError } from "../app/errors.ts";
import type { WorkerContext } from "./context.ts";
import type { Execution } from "./execution.ts";
import { type FollowUp, followedOf, identityOf } from "./follow-up.ts";
import type { Request } from "./request.ts";
import { type ResultWriter, shownError } from "./result-writer.ts";
import type { WorkerState } from "./state.ts";
import { BodyReader, isUnreadable } from "./task-body.ts";
import { tellHooks } from "./task-end.ts";
import type { TaskVoice } from "./task-voice.ts";

/** What ending tasks from outside needs of the tracer. */
export interface InterruptedTasksOptions {
  context: WorkerContext;
  state: WorkerState;
  results: ResultWriter;
  followUp: FollowUp;
  voice: TaskVoice;
}

/** A run that was ended. */
export interface InterruptedRun {
  request: Request;
  running: Execution["running"];
}

/** How a revoked task is told of. */
export interface Revocation {
  terminated: boolean;
  signum: number | null;
  expired: boolean;
}

/**
 * Ends tasks whose handler has no say in it any more: the hard time limit, a revocation, a cold stop. Mirrors
 * `celery/worker/request.py on_timeout`, `_announce_revoked`, `_announce_cancelled`.
 */
export class InterruptedTasks {
  readonly #options: InterruptedTasksOptions;
  readonly #bodies: BodyReader;

  constructor(options: InterruptedTasksOptions) {
    this.#options = options;
    this.#bodies = new BodyReader(options.context);
  }

  async timedOut({ request, running }: InterruptedRun, error: Error): Promise<void> {
    const { context, results, followUp, voice } = this.#options;
    voice.log(request, "error", `Hard time limit (${request.timeLimit}s) exceeded`);
    const recorded = results.record(error);
    if (request.storesErrors) {
      const { args, kwargs } = running.request;
      await results.store(request, "FAILURE", recorded.stored, { args, kwargs });
    }
    await followUp.failed(await followedOf(request, running, this.#bodies), error, recorded, request.storesErrors);
    const { traceback } = recorded;
    await tellHooks(context, { request, self: running.self }, { state: "FAILURE", exception: error, traceback });
    if (request.definition.acksLate) {
      if (request.definition.acksOnTimeout) request.acknowledge();
      else voice.reject(request, true);
    }
    voice.event(request, "task-failed", { exception: shownError(recorded), traceback });
  }

  /**
   * The worker goes away without waiting, or lost its broker. A message that was not acknowledged is put back for
   * others; of one that was, nobody will hear again, which its state tells.
   */
  async cancelled({ request, running }: InterruptedRun, reason: Error): Promise<void> {
    const { context, results, voice } = this.#options;
    voice.event(request, "task-cancelled", {});
    const isLostConnection = reason instanceof Retry;
    if (request.acknowledged || isLostConnection) {
      const exc = new Retry(null, null, "cancelled by Celery");
      if (request.storesErrors) await results.store(request, "RETRY", results.record(exc).stored);
      const end = { state: "RETRY", reason: exc, exc, traceback: null } as const;
      await tellHooks(context, { request, self: running.self }, end);
    }
    // On a connection that takes back what it gave, this says nothing new.
    if (isLostConnection) request.reject(true);
  }

  async revoked(request: Request, reason: "revoked" | "expired" | "terminated", told: Revocation): Promise<void> {
    const { context, state, results, voice } = this.#options;
    const { stored } = results.record(new TaskRevokedError(reason));
    voice.event(request, "task-revoked", { ...told });
    if (request.storesErrors) await results.store(request, "REVOKED", stored);
    await this.#revokedPart(request, stored);
    request.acknowledge();
    state.taskReady(request);
    const { signals } = context;
    if (!signals.has("task_revoked")) return;
    await signals.send("task_revoked", { sender: request.task, request: request.received(), ...told });
  }

  /** A revoked part still counts, or its chord would wait for ever. */
  async #revokedPart(request: Request, stored: unknown): Promise<void> {
    if (!request.headers.group) return;
    try {
      const [, , embed] = await this.#bodies.forwardOf(request);
      await this.#options.followUp.partReturned({ ...identityOf(request), embed }, "REVOKED", stored);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
  }
}
