import { readSignature } from "../../protocol/canvas/signature.ts";
import { writes } from "../../protocol/compatibility.ts";
import { EncodeError, InvalidTaskError } from "../../protocol/errors.ts";
import type { TaskBody } from "../../protocol/message/embed.ts";
import { saferepr } from "../../protocol/python/saferepr.ts";
import { Ignore, OperationalError, type Reject } from "../app/errors.ts";
import type { EventDispatcher } from "../events/dispatcher.ts";
import type { JobChild } from "../pools/pool.ts";
import { executeInChild } from "./child-execution.ts";
import type { WorkerContext } from "./context.ts";
import { type AskedRetry, type Execution, execute, type Outcome, retryEnd } from "./execution.ts";
import { type Followed, FollowUp, followedOf } from "./follow-up.ts";
import { InterruptedTasks } from "./interrupted-tasks.ts";
import { RedeliveredTasks } from "./redelivered-tasks.ts";
import { RedeliveryBudget } from "./redelivery-budget.ts";
import { replaceTask } from "./replacement.ts";
import type { Request } from "./request.ts";
import { ResultWriter, shownError } from "./result-writer.ts";
import { retryCall } from "./retries.ts";
import { signum } from "./signal.ts";
import type { WorkerState } from "./state.ts";
import { BodyReader, isEmpty, isUnreadable } from "./task-body.ts";
import { tellFailureSignal } from "./task-end.ts";
import { TaskVoice } from "./task-voice.ts";

/** What a tracer is made with. */
export interface TracerOptions {
  context: WorkerContext;
  state: WorkerState;
  events: EventDispatcher;
}

/** One task on its way through the worker. */
interface Trace {
  request: Request;
  running: Execution["running"];
  tell: Execution["tell"];
  /** Milliseconds since some moment, from `performance.now()`. */
  started: number;
}

/** Runs tasks and records what becomes of them. Mirrors `celery/app/trace.py` and `celery/worker/request.py`. */
export class Tracer {
  readonly #context: WorkerContext;
  readonly #state: WorkerState;
  readonly #events: EventDispatcher;
  readonly #results: ResultWriter;
  readonly #followUp: FollowUp;
  readonly #bodies: BodyReader;
  readonly #budget: RedeliveryBudget;
  readonly #redelivered: RedeliveredTasks;
  readonly #interrupted: InterruptedTasks;
  readonly #voice: TaskVoice;

  constructor({ context, state, events }: TracerOptions) {
    this.#context = context;
    this.#state = state;
    this.#events = events;
    this.#results = new ResultWriter(context);
    this.#followUp = new FollowUp(context, this.#results);
    this.#bodies = new BodyReader(context);
    this.#budget = new RedeliveryBudget(context.settings.taskRedeliveryLimit);
    this.#voice = new TaskVoice(context.log, events);
    const parts = { context, results: this.#results, followUp: this.#followUp, voice: this.#voice };
    this.#redelivered = new RedeliveredTasks({ ...parts, budget: this.#budget });
    this.#interrupted = new InterruptedTasks({ ...parts, state });
  }

  /**
   * Runs a task to its end, unless its message was returned before it began. Never rejects.
   * @param child the pool's child to run it in; here unless given
   */
  async trace(request: Request, child?: JobChild): Promise<void> {
    if (request.delivery.returned) return;
    try {
      if (await this.dropIfRevoked(request)) return;
      if (request.delivery.redelivered && (await this.#redelivered.dropIfDone(request))) return;
      request.timeStart = Date.now() / 1000;
      request.workerPid = child?.pid ?? process.pid;
      this.#state.taskAccepted(request);
      this.#voice.event(request, "task-started", {});
      await this.#run(request, child);
    } catch (error) {
      await this.#internalError(request, error);
    } finally {
      this.#state.taskReady(request);
    }
  }

  /** Stores REVOKED for a task that was revoked or is expired, and says whether it was. */
  async dropIfRevoked(request: Request): Promise<boolean> {
    const expired = request.isExpired();
    if (!expired && !this.#state.isRevoked(request)) return false;
    this.#context.log.info(
      { id: request.id, task: request.task },
      `Discarding revoked task: ${request.name}[${request.id}]`,
    );
    if (expired) this.#state.revoke([request.id]);
    await this.#interrupted.revoked(request, expired ? "expired" : "revoked", {
      terminated: false,
      signum: null,
      expired,
    });
    return true;
  }

  /** Fails a task whose message cannot be used, so that whoever waits for it learns of it. */
  async refuse(
    request: Pick<Request, "id" | "task" | "name"> & { replyTo: string | null; correlationId: string },
    error: Error,
  ): Promise<void> {
    const recorded = this.#results.record(error);
    this.#events.send("task-failed", { uuid: request.id, exception: shownError(recorded) });
    try {
      await this.#results.storeFor(request.id, undefined, "FAILURE", recorded.stored, null, request);
    } catch (cause) {
      this.#context.log.error(
        { err: cause, id: request.id },
        `Could not store the failure of ${request.name}[${request.id}]`,
      );
    }
  }

  async #run(request: Request, child: JobChild | undefined): Promise<void> {
    let body: TaskBody;
    try {
      const { message } = request.delivery;
      body =
        request.body ??
        (await (request.definition.forwardsArguments ? this.#bodies.readForward(message) : this.#bodies.read(message)));
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return this.#unreadable(request, error as Error);
    }
    // Not before it was read: what is acknowledged cannot be rejected.
    if (!request.definition.acksLate) request.acknowledge();
    const [args, kwargs, embed] = body;
    const taskRequest = request.taskRequest(args, kwargs, embed);
    const storeState = async (state: string, meta: unknown): Promise<void> => {
      if (!request.ignoreResult) await this.#results.store(request, state, meta, { args, kwargs });
    };
    const pid = request.workerPid;
    if (request.definition.trackStarted) await storeState("STARTED", { pid, hostname: request.hostname });
    const started = performance.now();
    const task = { request: taskRequest, embed };
    const { running, outcome, tell } = child
      ? executeInChild(this.#context, request, child, task, storeState)
      : execute(this.#context, request, task, storeState);
    const trace = { request, running, tell, started };
    const end = await outcome;
    await this.#context.runAs(running, () => this.#finish(trace, end));
  }

  async #finish(trace: Trace, outcome: Outcome): Promise<void> {
    switch (outcome.kind) {
      case "success":
        return this.#succeeded(trace, outcome.value, outcome.repr);
      case "failure":
        return this.#failed(trace, outcome.error, outcome.expected);
      case "retry":
        return this.#retried(trace, outcome.retry);
      case "replaced":
        return this.#replaced(trace, readSignature(outcome.replacement.signature));
      case "rejected":
        return this.#rejected(trace, outcome.reject);
      case "ignored":
        this.#voice.log(trace.request, "info", "ignored");
        await trace.tell({ state: "IGNORED", exception: new Ignore() });
        trace.request.acknowledge();
        return;
      case "timeout":
        return this.#interrupted.timedOut(trace, outcome.error);
      case "lost":
        return this.#lost(trace, outcome.error);
      case "cancelled":
        return this.#interrupted.cancelled(trace, outcome.error);
      case "terminated":
        return this.#interrupted.revoked(trace.request, "terminated", {
          terminated: true,
          signum: signum(outcome.error.message),
          expired: false,
        });
    }
  }

  async #succeeded(trace: Trace, value: unknown, repr?: string): Promise<void> {
    const { request, running, started } = trace;
    const followed = await this.#followed(trace);
    let sent = false;
    try {
      const priority = this.#context.settings.taskInheritParentPriority ? request.priority : null;
      if (!isEmpty(followed.embed)) await this.#followUp.succeeded(followed, value, priority);
      sent = true;
      if (!request.ignoreResult) {
        const { args, kwargs } = running.request;
        await this.#results.store(request, "SUCCESS", value, { children: running.children, args, kwargs });
      }
      await this.#followUp.partReturned(followed, "SUCCESS", value);
    } catch (error) {
      // A callback that cannot be sent fails the task, or whoever waits for the result would wait for ever.
      if (sent && !(error instanceof EncodeError) && !(error instanceof InvalidTaskError)) throw error;
      return this.#unsent(trace, error);
    }
    const runtime = (performance.now() - started) / 1000;
    const reject = await trace.tell({ state: "SUCCESS", retval: value, runtime });
    if (reject) return this.#voice.reject(request, reject.requeue);
    if (request.definition.acksLate) request.acknowledge();
    const result = repr ?? saferepr(value, request.definition.resultreprMaxsize);
    this.#voice.event(request, "task-succeeded", { result, runtime });
    this.#voice.log(request, "info", `succeeded in ${runtime.toFixed(4)}s: ${result}`, { runtime });
  }

  async #failed(trace: Trace, error: unknown, expected = false): Promise<void> {
    const { request, running } = trace;
    const recorded = this.#results.record(error);
    const { traceback } = recorded;
    if (request.storesErrors) {
      const { args, kwargs } = running.request;
      const { children } = running;
      await this.#results.store(request, "FAILURE", recorded.stored, { traceback, children, args, kwargs });
    }
    await this.#followUp.failed(await this.#followed(trace), error, recorded, request.storesErrors);
    const reject = await trace.tell({ state: "FAILURE", exception: error, traceback });
    if (reject) this.#voice.reject(request, reject.requeue);
    if (request.definition.acksLate) {
      if (request.definition.acksOnFailure) request.acknowledge();
      else this.#voice.reject(request, false);
    }
    this.#voice.event(request, "task-failed", { exception: shownError(recorded), traceback });
    if (expected) this.#voice.log(request, "info", `raised expected: ${shownError(recorded)}`);
    else this.#voice.log(request, "error", `raised unexpected: ${shownError(recorded)}`, { traceback });
  }

  async #retried(trace: Trace, retry: AskedRetry): Promise<void> {
    const { request } = trace;
    try {
      const call = retryCall(request, await this.#bodies.forwardOf(request), retry.options);
      await this.#context.sendTask(request.task, call.args, call.kwargs, call.options);
    } catch (error) {
      return this.#unsent(trace, error);
    }
    const recorded = retry.exc === null ? null : this.#results.record(retry.exc);
    if (request.storesErrors) {
      await this.#results.store(request, "RETRY", recorded?.stored ?? null, { traceback: recorded?.traceback ?? null });
    }
    const reject = await trace.tell(retryEnd(retry, this.#results));
    if (reject) this.#voice.reject(request, reject.requeue);
    if (request.definition.acksLate) request.acknowledge();
    this.#voice.event(request, "task-retried", {
      exception: recorded ? shownError(recorded) : "None",
      traceback: recorded?.traceback ?? "",
    });
    this.#voice.log(request, "info", `retry: ${retry.message}`);
  }

  /**
   * What follows a task could not be sent. Where the broker is to blame, the message goes back to it, to run again when
   * the broker is there: nothing is wrong with the task. One that was acknowledged fails, or nobody would hear of it.
   */
  async #unsent(trace: Trace, error: unknown): Promise<void> {
    const { request } = trace;
    if (!(error instanceof OperationalError) || !request.definition.acksLate) return this.#failed(trace, error);
    await trace.tell({ state: "REJECTED", exception: error });
    this.#voice.reject(request, true);
    this.#voice.log(request, "error", `goes back to its queue: what follows it could not be sent: ${error.message}`);
  }

  async #replaced(trace: Trace, signature: ReturnType<typeof readSignature>): Promise<void> {
    const { request } = trace;
    try {
      await replaceTask(this.#context, request, (await this.#followed(trace)).embed, signature);
    } catch (error) {
      return this.#unsent(trace, error);
    }
    await trace.tell({ state: "IGNORED", exception: new Ignore(`Replaced by ${signature.task}`) });
    if (request.definition.acksLate) request.acknowledge();
    this.#voice.log(request, "info", `replaced by ${signature.task}`);
  }

  async #rejected(trace: Trace, reject: Reject): Promise<void> {
    const { request, running } = trace;
    const { compatibility } = this.#context.settings;
    await trace.tell({ state: "REJECTED", exception: reject });
    if (!reject.requeue && request.storesErrors && writes(compatibility, "rejectStored")) {
      const recorded = this.#results.record(reject);
      const { args, kwargs } = running.request;
      await this.#results.store(request, "FAILURE", recorded.stored, { traceback: recorded.traceback, args, kwargs });
      const { traceback } = recorded;
      await tellFailureSignal(this.#context, { request, self: running.self }, { exception: reject, traceback });
      this.#voice.event(request, "task-failed", { exception: shownError(recorded), traceback });
    }
    this.#voice.reject(request, reject.requeue);
    this.#voice.log(request, "warn", `reject requeue=${reject.requeue ? "True" : "False"}: ${reject.reason ?? "None"}`);
  }

  /**
   * The child that ran the task is gone. Mirrors `celery/worker/request.py on_failure`: the task is retried, or with
   * late acknowledgement its message goes back, if the task says so.
   */
  async #lost(trace: Trace, error: Error): Promise<void> {
    const { request } = trace;
    const { acksLate, rejectOnWorkerLost, retryOnWorkerLost, maxRetries, defaultRetryDelay } = request.definition;
    const mayRetry = retryOnWorkerLost && (maxRetries === null || request.headers.retries < maxRetries);
    if (mayRetry) {
      const message = `Retry in ${defaultRetryDelay}s: ${error.message}`;
      return this.#retried(trace, { options: { countdown: defaultRetryDelay }, exc: error, message });
    }
    if (acksLate && rejectOnWorkerLost && !retryOnWorkerLost) {
      if (this.#budget.allows(request)) {
        this.#voice.log(request, "error", `was lost, and goes back to its queue: ${error.message}`);
        return this.#voice.reject(request, true);
      }
      this.#voice.log(request, "error", "was lost too often (taskRedeliveryLimit), and does not go back to its queue");
    }
    await this.#failed(trace, error);
    // The task's own hooks went with the child.
    const { traceback } = this.#results.record(error);
    await tellFailureSignal(this.#context, { request, self: trace.running.self }, { exception: error, traceback });
  }

  async #unreadable(request: Request, error: Error): Promise<void> {
    this.#context.log.error(
      { err: error, id: request.id, task: request.task, contentType: request.delivery.message.contentType },
      `Cannot read the message of ${request.name}[${request.id}]: ${error.message}. The message has been rejected.`,
    );
    if (!request.ignoreResult) await this.refuse(request, error);
    request.reject(false);
  }

  /**
   * Something of the worker's own went wrong: a backend that stays away, an errback that cannot be sent. Only the first
   * may be otherwise next time: a message put back for the second would come again for ever.
   */
  async #internalError(request: Request, error: unknown): Promise<void> {
    this.#context.log.fatal(
      { err: error, id: request.id, task: request.task },
      `Task ${request.name}[${request.id}] INTERNAL ERROR: ${error}`,
    );
    if (request.definition.acksLate) request.reject(error instanceof OperationalError);
    else request.acknowledge();
    const { signals } = this.#context;
    if (!signals.has("task_internal_error")) return;
    const traceback = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    const { id: taskId, task: sender } = request;
    const event = { sender, taskId, request: request.received(), exception: error, traceback };
    await signals.send("task_internal_error", event);
  }

  /** What follows the task, every value as it came. */
  #followed({ request, running }: Trace): Promise<Followed> {
    return followedOf(request, running, this.#bodies);
  }
}
