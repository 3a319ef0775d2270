import { annotated } from "./annotations.ts";
import { Contract, type ObjectSchema, type Schema, validate } from "./contract.ts";
import type { EagerResult } from "./eager-result.ts";
import { bindArguments, namedParameters, type Parameter, parametersOf } from "./parameters.ts";
import { rate } from "./rate.ts";
import type { AsyncResult } from "./result.ts";
import { type ApplyOptions, type SendOptions, wireOptions } from "./send-options.ts";
import type { Settings } from "./settings.ts";
import type { Signature } from "./signature.ts";
import type { TaskHooks } from "./task-hooks.ts";
import type { TaskLogger } from "./task-logger.ts";
import type { TaskRequest } from "./task-request.ts";
import type { Untyped } from "./untyped.ts";

/** A class of errors, for options that list some. */
// biome-ignore lint/suspicious/noExplicitAny: a class is told by what it makes, whatever its constructor takes
export type ErrorClass = abstract new (...args: any[]) => Error;

/** How a task runs and is sent: Celery's task options in camelCase, with Celery's defaults. Durations are seconds. */
export interface TaskOptions extends TaskHooks {
  /** The name it is sent by; the same in every language. */
  name: string;
  /** True to have the handler called with `self` in front of the arguments. */
  bind?: boolean;
  /**
   * The names of the handler's parameters, where they cannot be read from its source, or where JavaScript lacks what
   * Python has: `*args` reaches the handler as a list, `**kwargs` as an object, and what is behind `*args` or a bare `*`
   * is only taken by name.
   */
  parameters?: string[];
  /** A zod object: what the task takes. The handler gets one object, then `self`. */
  params?: ObjectSchema;
  /** A zod schema: what the task returns. */
  returns?: Schema;
  /** True to acknowledge the message after the task ran, so that a lost worker does not lose it. */
  acksLate?: boolean;
  acksOnFailure?: boolean;
  acksOnTimeout?: boolean;
  acksOnFailureOrTimeout?: boolean;
  /** True to put the message back when the child that runs the task is lost; for late acknowledgement. */
  rejectOnWorkerLost?: boolean;
  /** True to retry the task then, after `defaultRetryDelay`. */
  retryOnWorkerLost?: boolean;
  /** Errors after which the task is retried by itself. */
  autoretryFor?: readonly ErrorClass[];
  dontAutoretryFor?: readonly ErrorClass[];
  /** Options for the retries by itself: `countdown`, `maxRetries`. */
  retryKwargs?: RetryOptions;
  /** True, or seconds, for pauses that double with every retry. */
  retryBackoff?: boolean | number;
  /** 600 unless given. */
  retryBackoffMax?: number;
  /** True unless given: a random part of the pause, so that retries do not come all at once. */
  retryJitter?: boolean;
  /** 3 unless given; null for no limit. */
  maxRetries?: number | null;
  /** 180 unless given. */
  defaultRetryDelay?: number;
  softTimeLimit?: number;
  timeLimit?: number;
  ignoreResult?: boolean;
  storeErrorsEvenIfIgnored?: boolean;
  /** True to store the result of a run without any message as well: `taskStoreEagerResult`. */
  storeEagerResult?: boolean;
  trackStarted?: boolean;
  /** `10/s`, `100/m`, `5/h`, or a number a second. */
  rateLimit?: string | number;
  /** Errors that are expected: logged without a traceback. */
  throws?: readonly ErrorClass[];
  /** False to send no events about this task. */
  sendEvents?: boolean;
  /** False to keep no list of the tasks that this one sends (`result.children()`). */
  trail?: boolean;
  /** 1024 unless given: characters of a result shown in logs and events. */
  resultreprMaxsize?: number;
  queue?: string;
  exchange?: string;
  routingKey?: string;
  priority?: number;
  expires?: number;
  serializer?: string;
  compression?: string;
  deliveryMode?: SendOptions["deliveryMode"];
}

/** How a retry is sent. */
export interface RetryOptions extends SendOptions {
  /** The error to fail with when the retries are used up, and to show meanwhile. */
  exc?: unknown;
  /** In the place of the task's own, for this time. */
  maxRetries?: number | null;
  /** In the place of those that the task was called with. */
  args?: readonly unknown[];
}

/** What a running task knows of itself, and can do. */
export interface Self {
  /** Aborted when the task should stop: soft time limit, revoked with terminate, cold shutdown. */
  readonly signal: AbortSignal;
  readonly request: TaskRequest;
  readonly name: string;
  /** The application's log: every line has the task's name and id. */
  readonly log: TaskLogger;
  /** Stores a state of the task's own, such as `PROGRESS`, for others to see. */
  updateState(update: { state: string; meta?: unknown }): Promise<void>;
  /**
   * Sends an event of the task's own to monitors, with the task's id as `uuid`, also where the worker sends none.
   * @param type `task-progress`
   * @throws OperationalError
   */
  sendEvent(type: string, fields?: Record<string, unknown>): Promise<void>;
  /**
   * An error to throw: the worker then sends the task again. When the retries are used up it is `exc`, or
   * MaxRetriesExceededError.
   */
  retry(options?: RetryOptions): Error;
  /**
   * Sends a signature as one more part of the chord that this task is in. With `lazy` it is only made ready, for the
   * task to send itself.
   * @throws RangeError when the task is in no chord; NotImplementedError on a backend that cannot add to one
   */
  addToChord(sig: Signature, options: { lazy: true }): Promise<Signature>;
  addToChord(sig: Signature, options?: { lazy?: false }): Promise<AsyncResult>;
  /** An error to throw: another signature then takes this task's place, and its id. */
  replace(sig: Signature): Error;
}

/** A task that can be sent, and called in place. */
export interface Task<A extends unknown[] = Untyped[], R = Untyped> {
  readonly name: string;
  /** Runs the handler here and now, in this process. */
  (...args: A): Promise<R>;
  /** Sends the task. */
  delay(...args: A): Promise<AsyncResult<R>>;
  /** Sends the task with options. A task with `params` takes its object, or an array of positional arguments. */
  applyAsync(args?: unknown, options?: SendOptions): Promise<AsyncResult<R>>;
  /**
   * Runs the task here and now, as a worker would but without any message: hooks, signals, retries and callbacks
   * included. Nothing is stored, but with `storeEagerResult`.
   */
  apply(args?: unknown, options?: ApplyOptions): Promise<EagerResult<R>>;
  /** The call as a signature, to be sent later or passed on. */
  s(...args: unknown[]): Signature<R>;
  /** The same, taking no further arguments: the result of what runs before is not passed. */
  si(...args: unknown[]): Signature<R>;
  map(items: Iterable<unknown>): Signature<R[]>;
  starmap(items: Iterable<unknown[]>): Signature<R[]>;
  chunks(items: Iterable<unknown[]>, n: number): Signature<R[][]>;
}

/** Options that a task's messages are sent with, in Celery's order. */
const EXECUTION_OPTIONS = [
  "queue",
  "routingKey",
  "exchange",
  "priority",
  "expires",
  "serializer",
  "deliveryMode",
  "compression",
  "timeLimit",
  "softTimeLimit",
] as const;

/** A registered task, as the worker and the sender see it. */
export class TaskDefinition {
  readonly name: string;
  readonly handler: (...args: never[]) => unknown;
  readonly options: TaskOptions;
  readonly acksLate: boolean;
  readonly acksOnFailure: boolean;
  readonly acksOnTimeout: boolean;
  readonly rejectOnWorkerLost: boolean;
  readonly retryOnWorkerLost: boolean;
  readonly ignoreResult: boolean;
  readonly storeErrorsEvenIfIgnored: boolean;
  readonly trackStarted: boolean;
  readonly storeEagerResult: boolean;
  readonly maxRetries: number | null;
  readonly defaultRetryDelay: number;
  /** Seconds; remote control changes it, as it does the next two. */
  timeLimit: number | null;
  softTimeLimit: number | null;
  /** `10/s`, `100/m`, `5/h`, or a number a second; null or 0 for none. */
  rateLimit: string | number | null;
  readonly sendEvents: boolean;
  readonly trail: boolean;
  readonly resultreprMaxsize: number;
  /**
   * What it is sent with where a call says nothing else, under the wire's names and frozen; an absent priority is there
   * as null, which makes a difference to how it is routed.
   */
  readonly sendOptions: Readonly<Record<string, unknown>>;
  /** True for one that only hands its arguments on: it gets them as they came, whatever JavaScript would make of them. */
  readonly forwardsArguments: boolean;
  readonly #contract: Contract | undefined;
  readonly #shortName: string;
  #parameters: readonly Parameter[] | undefined | null = null;

  /** @throws TypeError when the options contradict each other; ImproperlyConfigured, of `taskAnnotations` */
  constructor(
    given: TaskOptions,
    handler: (...args: never[]) => unknown,
    settings: Settings,
    forwardsArguments = false,
  ) {
    const options = annotated(given, settings.taskAnnotations ?? []);
    if (options.params && options.bind) {
      throw new TypeError(
        `task ${options.name}: with params the handler always gets (params, self), so bind must not be given`,
      );
    }
    const { softTimeLimit = settings.taskSoftTimeLimit, timeLimit = settings.taskTimeLimit } = options;
    if (softTimeLimit && timeLimit && softTimeLimit > timeLimit) {
      throw new RangeError(`task ${options.name}: softTimeLimit must be less than or equal to timeLimit`);
    }
    this.name = options.name;
    this.handler = handler;
    this.forwardsArguments = forwardsArguments;
    this.options = options;
    this.acksLate = options.acksLate ?? settings.taskAcksLate;
    const either = options.acksOnFailureOrTimeout;
    this.acksOnFailure =
      options.acksOnFailure ?? either ?? settings.taskAcksOnFailure ?? settings.taskAcksOnFailureOrTimeout;
    this.acksOnTimeout =
      options.acksOnTimeout ?? either ?? settings.taskAcksOnTimeout ?? settings.taskAcksOnFailureOrTimeout;
    this.rejectOnWorkerLost = options.rejectOnWorkerLost ?? settings.taskRejectOnWorkerLost;
    this.retryOnWorkerLost = options.retryOnWorkerLost ?? settings.taskRetryOnWorkerLost;
    this.ignoreResult = options.ignoreResult ?? settings.taskIgnoreResult;
    this.storeErrorsEvenIfIgnored = options.storeErrorsEvenIfIgnored ?? settings.taskStoreErrorsEvenIfIgnored;
    this.trackStarted = options.trackStarted ?? settings.taskTrackStarted;
    this.storeEagerResult = options.storeEagerResult ?? settings.taskStoreEagerResult;
    this.maxRetries = options.maxRetries === undefined ? 3 : options.maxRetries;
    this.defaultRetryDelay = options.defaultRetryDelay ?? 180;
    this.timeLimit = timeLimit;
    this.softTimeLimit = softTimeLimit;
    this.rateLimit = options.rateLimit ?? settings.taskDefaultRateLimit;
    try {
      rate(this.rateLimit);
    } catch (error) {
      throw new RangeError(`task ${options.name}: rateLimit: ${(error as Error).message}`);
    }
    this.sendEvents = options.sendEvents ?? true;
    this.trail = options.trail ?? true;
    this.resultreprMaxsize = options.resultreprMaxsize ?? 1024;
    const own = Object.fromEntries(EXECUTION_OPTIONS.map((name) => [name, options[name]]));
    this.sendOptions = Object.freeze({
      ignore_result: this.ignoreResult,
      priority: settings.taskDefaultPriority,
      ...wireOptions(own as SendOptions),
    });
    this.#shortName = options.name.slice(options.name.lastIndexOf(".") + 1);
    this.#contract = options.params && new Contract(this.#shortName, options.params);
  }

  /** True when the handler takes one object, named by the contract. */
  get hasContract(): boolean {
    return this.#contract !== undefined;
  }

  /**
   * The arguments to call the handler with, but for `self`.
   * @throws TypeError in Python's wording when the call does not fit; ValidationError when the contract refuses it
   */
  bind(args: readonly unknown[], kwargs: Record<string, unknown>): unknown[] | Promise<unknown[]> {
    if (this.#contract) return this.#contract.bind(args, kwargs).then((params) => [params]);
    return bindArguments(this.#shortName, this.#known(), args, kwargs);
  }

  /** Calls the handler and checks what it returns. */
  async call(bound: readonly unknown[], self: Self): Promise<unknown> {
    const { params, bind, returns } = this.options;
    const args = params ? [...bound, self] : bind ? [self, ...bound] : bound;
    const value = await this.handler(...(args as never[]));
    return returns ? validate(returns, value, "result") : value;
  }

  /**
   * True for an errback of the newer kind, which is called with request, error and traceback; one that takes a single
   * argument gets the failed task's id. Mirrors `celery/backends/base.py _errback_arity_greater`.
   *
   * @param stored the arguments that the signature brings itself
   */
  takesError(stored: { args: readonly unknown[]; kwargs: Record<string, unknown>; immutable: boolean }): boolean {
    if (this.#contract || this.options.bind) return false;
    const parameters = this.#known() ?? [];
    if (parameters.some(({ rest, kind }) => rest || kind === "args")) return true;
    const positional = parameters.filter(({ kind }) => !kind);
    const open = stored.immutable ? positional : positional.slice(stored.args.length);
    // One that is bound by name can only be given by name from there on, and so can those behind it.
    const named = stored.immutable ? -1 : open.findIndex(({ name }) => name !== undefined && name in stored.kwargs);
    return (named < 0 ? open.length : named) > 1;
  }

  /**
   * The arguments of a retry that was given only positional or only named ones: what the task was called with is kept
   * where it does not get in their way. Mirrors `celery/app/task.py Task.retry`.
   */
  retryArguments(
    called: { args: readonly unknown[]; kwargs: Record<string, unknown> },
    given: { args: readonly unknown[] | undefined; kwargs: Record<string, unknown> | undefined },
  ): { args: readonly unknown[]; kwargs: Record<string, unknown> } {
    const { args = called.args, kwargs = called.kwargs } = given;
    const parameters = this.#contract ? undefined : this.#known();
    const positional = parameters?.filter(({ kind, rest }) => !kind && !rest);
    if (!positional || (given.args === undefined) === (given.kwargs === undefined)) return { args, kwargs };
    if (given.args) {
      const taken = new Set(positional.slice(0, args.length).map(({ name }) => name));
      return { args, kwargs: Object.fromEntries(Object.entries(kwargs).filter(([name]) => !taken.has(name))) };
    }
    const replaced = new Map(
      positional
        .map(({ name }, position) => [position, name] as const)
        .filter(([position, name]) => position < args.length && name !== undefined && Object.hasOwn(kwargs, name)),
    );
    const names = new Set(replaced.values());
    return {
      args: args.map((value, position) => (replaced.has(position) ? kwargs[replaced.get(position) as string] : value)),
      kwargs: Object.fromEntries(Object.entries(kwargs).filter(([name]) => !names.has(name))),
    };
  }

  #known(): readonly Parameter[] | undefined {
    if (this.#parameters === null) this.#parameters = this.#readParameters();
    return this.#parameters;
  }

  #readParameters(): readonly Parameter[] | undefined {
    const { parameters, bind } = this.options;
    const skipped = bind ? 1 : 0;
    if (parameters) return namedParameters(parameters, this.handler.length - skipped);
    return parametersOf(this.handler)?.slice(skipped);
  }
}
