import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { clone, type SignatureData } from "../../protocol/canvas/signature.ts";
import type { Embed } from "../../protocol/message/embed.ts";
import { saferepr } from "../../protocol/python/saferepr.ts";
import type { ResultTuple } from "../../protocol/result/result-tuple.ts";
import type { EagerRunner } from "../app/eager-canvas.ts";
import { EagerResult } from "../app/eager-result.ts";
import { NotRegistered, Retry } from "../app/errors.ts";
import { taskError } from "../app/exception.ts";
import type { TaskDefinition } from "../app/task.ts";
import type { TaskRequest } from "../app/task-request.ts";
import type { WorkerContext } from "./context.ts";
import { type AskedRetry, callHandler, type Execution, type Outcome, retryEnd } from "./execution.ts";
import { type Followed, FollowUp } from "./follow-up.ts";
import { ResultWriter, shownError } from "./result-writer.ts";
import { makeSelf, NO_CHORD } from "./self.ts";
import { type EndedRun, type TaskEnd, tellEnd } from "./task-end.ts";

type Options = Record<string, unknown>;

/** The same, made when the first task runs so. */
export class LazyEagerTasks implements EagerRunner {
  readonly #make: () => EagerTasks;
  #made: EagerTasks | undefined;

  constructor(context: () => WorkerContext) {
    this.#make = () => new EagerTasks(context());
  }

  get #tasks(): EagerTasks {
    this.#made ??= this.#make();
    return this.#made;
  }

  serves(name: string): boolean {
    return this.#tasks.serves(name);
  }

  async call(...call: Parameters<EagerTasks["call"]>): Promise<EagerResult> {
    return this.#tasks.call(...call);
  }

  async apply(...call: Parameters<EagerTasks["apply"]>): Promise<EagerResult> {
    return this.#tasks.apply(...call);
  }
}

/** A run under way. */
interface EagerRun {
  readonly definition: TaskDefinition;
  readonly running: Execution["running"];
  readonly followed: Followed;
  /** Whether a result is stored, and whether an error is. */
  readonly stores: { readonly result: boolean; readonly error: boolean };
  readonly throws: boolean;
  readonly started: number;
}

/**
 * Runs tasks where they are called, with all that a worker does but for messages: hooks, signals, retries, callbacks.
 * Mirrors `celery/app/task.py Task.apply`.
 */
export class EagerTasks implements EagerRunner {
  readonly #context: WorkerContext;
  readonly #results: ResultWriter;
  readonly #followUp: FollowUp;

  /** @param context whose tasks are served; the built-in ones among them */
  constructor(context: WorkerContext) {
    this.#context = context;
    this.#results = new ResultWriter(context);
    this.#followUp = new FollowUp(context, this.#results);
  }

  /** Whether a task can run here. */
  serves(name: string): boolean {
    return this.#context.tasks.get(name) !== undefined;
  }

  /**
   * What a message would do to the arguments is done to them, so that what cannot be sent does not work here either.
   * @throws TypeError when the call does not fit; EncodeError
   */
  async call(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<EagerResult> {
    const { serializers, settings } = this.#context;
    const definition = this.#definition(name);
    await definition.bind(args, kwargs);
    const all = { ...definition.sendOptions, ...options };
    const serializer = typeof all.serializer === "string" ? all.serializer : settings.taskSerializer;
    const encoded = serializers.encode([args, kwargs], serializer);
    const [sentArgs, sentKwargs] = serializers.decode(encoded, null, definition.forwardsArguments) as [
      unknown[],
      Options,
    ];
    return this.apply(name, sentArgs, sentKwargs, all);
  }

  /**
   * @param options under the wire's names; `throw` to reject with what the task throws, `taskEagerPropagates` unless
   *   given; `retries`
   * @throws NotRegistered
   */
  async apply(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<EagerResult> {
    const run = this.#begin(this.#definition(name), args, kwargs, options);
    const outcome = await callHandler(this.#context, run, run.running);
    return this.#context.runAs(run.running, () => this.#finish(run, outcome));
  }

  #definition(name: string): TaskDefinition {
    const definition = this.#context.tasks.get(name);
    if (!definition) throw new NotRegistered(name);
    return definition;
  }

  #begin(definition: TaskDefinition, args: readonly unknown[], kwargs: Options, options: Options): EagerRun {
    const request = this.#request(definition, args, kwargs, options);
    const { id, rootId, callbacks, errbacks, ignoreResult, children } = request;
    const storeState = (state: string, meta: unknown): Promise<void> =>
      this.#results.storeFor(id, undefined, state, meta, null);
    const self = makeSelf({
      name: definition.name,
      appName: this.#context.name,
      maxRetries: definition.maxRetries,
      defaultRetryDelay: definition.defaultRetryDelay,
      signal: new AbortController().signal,
      request,
      log: this.#context.log,
      storeState,
      sendEvent: (type, fields) => this.#context.sendEvent(request.hostname, type, { uuid: id, ...fields }),
      addToChord: () => Promise.reject(new RangeError(NO_CHORD)),
    });
    const embed: Embed = { callbacks, errbacks, chain: null, chord: null };
    const stored = definition.storeEagerResult && !ignoreResult;
    return {
      definition,
      running: { request, self, embed, children, trail: definition.trail },
      followed: { id, rootId, group: null, groupIndex: null, request, embed },
      stores: { result: stored, error: stored || (ignoreResult && definition.storeErrorsEvenIfIgnored) },
      throws: typeof options.throw === "boolean" ? options.throw : this.#context.settings.taskEagerPropagates,
      started: performance.now(),
    };
  }

  #request(definition: TaskDefinition, args: readonly unknown[], kwargs: Options, options: Options): TaskRequest {
    const parent = this.#context.running()?.request;
    const id = typeof options.task_id === "string" ? options.task_id : randomUUID();
    const stamped = Array.isArray(options.stamped_headers) ? (options.stamped_headers as string[]) : null;
    const { timeLimit, softTimeLimit, name } = definition;
    const shadow = text(options.shadow);
    const { ignore_result: ignored } = options;
    return {
      id,
      name: shadow ?? name,
      task: name,
      rootId: parent?.rootId ?? id,
      parentId: parent?.id ?? null,
      retries: Number(options.retries ?? 0),
      eta: null,
      expires: null,
      group: null,
      groupIndex: null,
      correlationId: id,
      replyTo: null,
      origin: "",
      hostname: hostname(),
      deliveryInfo: {
        exchange: text(options.exchange) ?? "",
        routingKey: text(options.routing_key) ?? "",
        priority: typeof options.priority === "number" ? options.priority : null,
        redelivered: false,
      },
      isEager: true,
      calledDirectly: false,
      lang: "py",
      utc: null,
      timelimit: [timeLimit, softTimeLimit],
      timeLimit,
      softTimeLimit,
      ignoreResult: typeof ignored === "boolean" ? ignored : definition.ignoreResult,
      shadow,
      replacedTaskNesting: 0,
      stamps: Object.fromEntries((stamped ?? []).map((stamp) => [stamp, options[stamp]])),
      stampedHeaders: stamped,
      headers: { ...(options.headers as Options | undefined) },
      properties: {},
      args: [...args],
      kwargs: { ...kwargs },
      argsrepr: "",
      kwargsrepr: "",
      callbacks: signatures(options.link),
      errbacks: signatures(options.link_error),
      chain: null,
      chord: null,
      children: [] as ResultTuple[],
    };
  }

  async #finish(run: EagerRun, outcome: Outcome): Promise<EagerResult> {
    switch (outcome.kind) {
      case "success":
        return this.#succeeded(run, outcome.value);
      case "retry":
        return this.#retried(run, outcome.retry);
      case "replaced":
        return this.#replaced(run, clone(outcome.replacement.signature));
      case "rejected":
        await this.#tell(run, { state: "REJECTED", exception: outcome.reject });
        return this.#result(run, "REJECTED", null);
      case "ignored":
        await this.#tell(run, { state: "IGNORED", exception: null });
        return this.#result(run, "IGNORED", null);
      default:
        return this.#failed(run, outcome.error);
    }
  }

  async #succeeded(run: EagerRun, value: unknown): Promise<EagerResult> {
    const { running, followed, definition } = run;
    try {
      await this.#followUp.succeeded(followed, value, null);
      if (run.stores.result) await this.#results.storeFor(followed.id, undefined, "SUCCESS", value, null);
    } catch (error) {
      return this.#failed(run, error);
    }
    const runtime = (performance.now() - run.started) / 1000;
    await this.#tell(run, { state: "SUCCESS", retval: value, runtime });
    const shown = saferepr(value, definition.resultreprMaxsize);
    this.#log("info", running.request, `succeeded in ${runtime.toFixed(4)}s: ${shown}`);
    return this.#result(run, "SUCCESS", value);
  }

  /** @throws what the task threw, when it is told to */
  async #failed(run: EagerRun, error: unknown): Promise<EagerResult> {
    const { running, followed, stores, definition } = run;
    if (run.throws) throw error;
    const recorded = this.#results.record(error);
    const { stored, traceback } = recorded;
    if (stores.error) await this.#results.storeFor(followed.id, undefined, "FAILURE", stored, traceback);
    await this.#followUp.failed(followed, error, recorded, stores.error);
    await this.#tell(run, { state: "FAILURE", exception: error, traceback });
    const isExpected = definition.options.throws?.some((type) => error instanceof type) ?? false;
    const [level, raised] = isExpected ? (["info", "expected"] as const) : (["error", "unexpected"] as const);
    this.#log(level, running.request, `raised ${raised}: ${shownError(recorded)}`);
    const told = Object.assign(taskError(stored, traceback), { cause: error });
    return new EagerResult(this.#context.results, followed.id, { state: "FAILURE", value: null, error: told });
  }

  /** At once: nobody waits for its time. */
  async #retried(run: EagerRun, retry: AskedRetry): Promise<EagerResult> {
    const { running, definition } = run;
    const { request } = running;
    if (run.throws) throw new Retry(retry.exc, null, retry.message);
    await this.#tell(run, retryEnd(retry, this.#results));
    this.#log("info", request, `retry: ${retry.message}`);
    const given = { args: retry.options.args, kwargs: retry.options.kwargs as Options | undefined };
    const { args, kwargs } = definition.retryArguments(request, given);
    return this.apply(definition.name, args, kwargs, {
      task_id: request.id,
      retries: request.retries + 1,
      link: request.callbacks,
      link_error: request.errbacks,
      headers: request.headers,
      ignore_result: request.ignoreResult,
    });
  }

  async #replaced(run: EagerRun, signature: SignatureData): Promise<EagerResult> {
    const result = await this.#context.canvas.applyEagerly(signature, [], {}, {});
    try {
      return await this.#succeeded(run, await result.get());
    } catch (error) {
      return this.#failed(run, error);
    }
  }

  /** @throws what a hook throws: whoever calls a task here wants to know */
  async #tell({ definition, running }: EagerRun, end: TaskEnd): Promise<void> {
    const { request, self } = running;
    const { id, task, name } = request;
    const ended: EndedRun = { request: { id, task, name, definition, received: () => request }, self };
    await tellEnd({ ...this.#context, hooksThrow: true }, ended, end);
  }

  #result({ followed }: EagerRun, state: string, value: unknown): EagerResult {
    return new EagerResult(this.#context.results, followed.id, { state, value, error: null });
  }

  #log(level: "info" | "error", { id, task, name }: TaskRequest, message: string): void {
    this.#context.log[level]({ id, task }, `Task ${name}[${id}] ${message}`);
  }
}

function text(option: unknown): string | null {
  return typeof option === "string" && option !== "" ? option : null;
}

function signatures(option: unknown): SignatureData[] | null {
  if (option === undefined || option === null) return null;
  return ([option].flat() as SignatureData[]).map(clone);
}
