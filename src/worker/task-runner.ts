import { saferepr } from "../../protocol/python/saferepr.ts";
import type { Encoded } from "../../protocol/serialization/serializer.ts";
import { Ignore, NotRegistered, SoftTimeLimitExceeded } from "../app/errors.ts";
import { wireOptions } from "../app/send-options.ts";
import type { RunningTask } from "../app/task-request.ts";
import { errorOf } from "./child-execution.ts";
import {
  type ChildEnd,
  type ChildError,
  type ChildResult,
  type ChildTask,
  type ChildTold,
  type ChildVerdict,
  childDelivery,
  Passage,
  type ToTask,
  type ToWorker,
} from "./child-task.ts";
import type { WorkerContext } from "./context.ts";
import { type AskedRetry, callHandler, LazyAbort, type Outcome, retryEnd, runningTask } from "./execution.ts";
import { Request } from "./request.ts";
import { asValue, ResultWriter } from "./result-writer.ts";
import { servingBuiltins } from "./serving.ts";
import { BodyReader } from "./task-body.ts";
import { isFollowed, type TaskEnd, tellEnd } from "./task-end.ts";

/** What a running task asks of the worker. Rejects when the worker could not do it. */
export type AskWorker = (call: ToWorker) => Promise<unknown>;

/** A task that runs in a child. */
export interface TaskInChild {
  /** Never rejects. */
  readonly result: Promise<ChildResult | ChildTold>;
  tell(message: ToTask): void;
}

/** Runs tasks in a pool's child: calls handlers, and says how they ended. All else is the worker's. */
export class TaskRunner {
  readonly #context: WorkerContext;
  readonly #bodies: BodyReader;
  readonly #results: ResultWriter;
  readonly #passage: Passage;

  constructor(context: WorkerContext) {
    this.#context = servingBuiltins(context);
    this.#bodies = new BodyReader(context);
    this.#results = new ResultWriter(context);
    this.#passage = new Passage(context.serializers, context.settings);
  }

  run(task: ChildTask, ask: AskWorker): TaskInChild {
    const abort = new LazyAbort();
    return {
      result: this.#run(task, ask, abort).catch((error) => ({ end: this.#failure(error, false), children: [] })),
      tell: () => abort.abort(new SoftTimeLimitExceeded("", { args: [] })),
    };
  }

  async #run(task: ChildTask, ask: AskWorker, abort: LazyAbort): Promise<ChildResult | ChildTold> {
    const delivery = childDelivery(task);
    const { task: name } = delivery.message.headers;
    const forwards = typeof name === "string" && this.#context.tasks.get(name)?.forwardsArguments === true;
    const { headers, body } = await this.#bodies.readTask(delivery.message, forwards);
    const definition = this.#context.tasks.get(headers.task);
    if (!definition) throw new NotRegistered(headers.task);
    const timeZone = this.#context.settings.timezone ?? "UTC";
    const request = new Request(headers, definition, delivery, task.hostname, timeZone, body);
    const [args, kwargs, embed] = body;
    const storeState = async (state: string, meta: unknown): Promise<void> => {
      await ask({ state, meta: this.#passage.result(meta) });
    };
    const running = runningTask(
      this.#context,
      request,
      { request: request.taskRequest(args, kwargs, embed), embed },
      storeState,
      abort,
    );
    const started = performance.now();
    const outcome = await callHandler(this.#context, request, running);
    const result = this.#result(outcome, task, running);
    if (!isFollowed(definition, this.#context.signals)) return result;
    const verdict = (await ask({ ended: result })) as ChildVerdict;
    const end = this.#end(outcome, verdict, (performance.now() - started) / 1000);
    const { self } = running;
    const reject = await this.#context.runAs(running, () => tellEnd(this.#context, { request, self }, end));
    return { reject: reject ? { reason: reject.reason, requeue: reject.requeue } : null };
  }

  #result(outcome: Outcome, task: ChildTask, { request, children }: RunningTask): ChildResult {
    const maxsize = this.#context.tasks.get(request.task)?.resultreprMaxsize ?? 0;
    try {
      return { end: this.#ended(outcome, task, maxsize), children };
    } catch (error) {
      return { end: this.#failure(error, false), children };
    }
  }

  /** How the run ended, with the values as they are here. */
  #end(outcome: Outcome, { state, error }: ChildVerdict, runtime: number): TaskEnd {
    if (state === "FAILURE") {
      const exception = outcome.kind === "failure" ? outcome.error : error && errorOf(error, this.#passage);
      return { state, exception, traceback: error?.traceback ?? "" };
    }
    if (state === "SUCCESS") return { state, retval: outcome.kind === "success" ? outcome.value : null, runtime };
    if (state === "RETRY" && outcome.kind === "retry") return retryEnd(outcome.retry, this.#results);
    if (state === "RETRY") return { state, reason: null, exc: null, traceback: null };
    return { state, exception: outcome.kind === "rejected" ? outcome.reject : new Ignore() };
  }

  /** @throws EncodeError for what cannot be written */
  #ended(outcome: Outcome, { resultWanted }: ChildTask, reprMaxsize: number): ChildEnd {
    switch (outcome.kind) {
      case "success": {
        const value = resultWanted ? this.#passage.result(asValue(outcome.value)) : null;
        return { kind: "success", value, repr: saferepr(outcome.value, reprMaxsize) };
      }
      case "retry":
        return this.#retry(outcome.retry);
      case "replaced":
        return { kind: "replaced", signature: this.#passage.call(outcome.replacement.signature) };
      case "rejected":
        return { kind: "rejected", reason: outcome.reject.reason, requeue: outcome.reject.requeue };
      case "ignored":
        return { kind: "ignored" };
      case "failure":
        return this.#failure(outcome.error, outcome.expected);
      default:
        return this.#failure(outcome.error, false);
    }
  }

  #retry({ options: asked, exc, message }: AskedRetry): ChildEnd {
    const { exc: _, maxRetries: __, args, kwargs, ...more } = asked;
    const { eta, expires, ...wire } = wireOptions(more);
    const options = { ...wire, ...(args && { args }), ...(kwargs && { kwargs }) };
    const times = {
      ...(eta instanceof Date && { eta: new Date(eta) }),
      ...(expires instanceof Date && { expires: new Date(expires) }),
    };
    if (typeof expires === "number") Object.assign(options, { expires });
    return {
      kind: "retry",
      text: message,
      exc: exc === null || exc === undefined ? null : this.#error(exc),
      options: this.#passage.call(options),
      times,
    };
  }

  #failure(error: unknown, expected: boolean): Extract<ChildEnd, { kind: "failure" }> {
    return { kind: "failure", error: this.#error(error), expected };
  }

  #error(error: unknown): ChildError {
    const { stored, traceback } = this.#results.record(error);
    const encoded: Encoded = this.#passage.result(stored);
    return { stored: encoded, traceback };
  }
}
