import { randomUUID } from "node:crypto";
import { clone, type SignatureData } from "../../protocol/canvas/signature.ts";
import { tuple } from "../../protocol/python/collections.ts";
import { repr } from "../../protocol/python/repr.ts";
import { exceptionText } from "../../protocol/result/exception.ts";
import { Ignore, MaxRetriesExceededError, Retry } from "../app/errors.ts";
import { pythonException } from "../app/exception.ts";
import { anonNodename } from "../app/nodename.ts";
import type { AsyncResult } from "../app/result.ts";
import type { Signature } from "../app/signature.ts";
import type { RetryOptions, Self } from "../app/task.ts";
import { type TaskLogger, taskLogger } from "../app/task-logger.ts";
import type { TaskRequest } from "../app/task-request.ts";
import type { Logger } from "../logger.ts";
import type { WorkerContext } from "./context.ts";

/** What Celery says to a task that adds to a chord and is in none. */
export const NO_CHORD = "Current task is not member of any chord";

/** What a running task does through its `self`. */
export interface SelfContext {
  name: string;
  /** The module of errors that do not say theirs. */
  appName: string;
  maxRetries: number | null;
  defaultRetryDelay: number;
  readonly signal: AbortSignal;
  request: TaskRequest;
  log: Logger;
  storeState(state: string, meta: unknown): Promise<void>;
  sendEvent(type: string, fields: Record<string, unknown>): Promise<void>;
  /** Sends a signature as one more part of the chord that the task is in. */
  addToChord(sig: Signature, options: { lazy?: boolean }): Promise<AsyncResult | Signature>;
}

/** A retry that was asked for, with the options to send it. */
export class RequestedRetry extends Retry {
  static override readonly pythonName = Retry.pythonName;
  override readonly name = "Retry";
  readonly options: RetryOptions;

  constructor(options: RetryOptions, when: number | Date, appName: string) {
    const { exc } = options;
    super(exc ?? null, when, retryText(exc, when, appName));
    this.options = options;
  }
}

/** A replacement that was asked for. */
export class RequestedReplacement extends Ignore {
  static override readonly pythonName = Ignore.pythonName;
  override readonly name = "Ignore";
  readonly signature: SignatureData;

  constructor(signature: SignatureData) {
    super(`Replaced by ${signature.task}`);
    this.signature = signature;
  }
}

/** `self` of one run of a task. */
export function makeSelf(context: SelfContext): Self {
  const { name, request } = context;
  let log: TaskLogger | undefined;
  return {
    name,
    request,
    get signal() {
      return context.signal;
    },
    // Made when it is asked for: most tasks say nothing.
    get log() {
      log ??= taskLogger(context.log, () => request);
      return log;
    },
    sendEvent: (type, fields = {}) => context.sendEvent(type, fields),
    updateState: ({ state, meta }) => context.storeState(state, meta ?? null),
    retry: (options = {}) => retry(context, options),
    addToChord: ((sig: Signature, options = {}) => context.addToChord(sig, options)) as Self["addToChord"],
    replace: (sig: Signature) => new RequestedReplacement(clone(sig.toJSON())),
  };
}

function retry(context: SelfContext, options: RetryOptions): Error {
  const { request, name, appName } = context;
  const maxRetries = options.maxRetries ?? context.maxRetries;
  if (maxRetries !== null && request.retries + 1 > maxRetries) {
    if (options.exc instanceof Error) return options.exc;
    const args = repr(tuple(options.args ?? request.args));
    const kwargs = repr(options.kwargs ?? request.kwargs);
    return new MaxRetriesExceededError(`Can't retry ${name}[${request.id}] args:${args} kwargs:${kwargs}`);
  }
  const countdown = options.eta || options.countdown !== undefined ? options.countdown : context.defaultRetryDelay;
  const timed = { ...options, ...(countdown !== undefined && { countdown }) };
  return new RequestedRetry(timed, options.eta ?? countdown ?? 0, appName);
}

function retryText(exc: unknown, when: number | Date, appName: string): string {
  const moment = when instanceof Date ? `at ${when.toISOString()}` : `in ${when}s`;
  if (exc === undefined || exc === null) return `Retry ${moment}`;
  const exception = pythonException(exc, appName);
  return `Retry ${moment}: ${exception.type}(${repr(exceptionText(exception))})`;
}

/** What a call in place needs of its application. */
export type InPlaceContext = Pick<WorkerContext, "name" | "log" | "sendEvent">;

/** `self` of a task that is called in place, outside of any worker. */
export function selfInPlace(name: string, { name: appName, log, sendEvent }: InPlaceContext): Self {
  const id = randomUUID();
  const request: TaskRequest = {
    id,
    name,
    task: name,
    rootId: id,
    parentId: null,
    retries: 0,
    eta: null,
    expires: null,
    group: null,
    groupIndex: null,
    correlationId: id,
    replyTo: null,
    origin: "",
    hostname: "",
    deliveryInfo: { exchange: "", routingKey: "", priority: null, redelivered: false },
    isEager: false,
    calledDirectly: true,
    lang: "py",
    utc: null,
    timelimit: [null, null],
    timeLimit: null,
    softTimeLimit: null,
    ignoreResult: true,
    shadow: null,
    replacedTaskNesting: 0,
    stamps: {},
    stampedHeaders: null,
    headers: {},
    properties: {},
    args: [],
    kwargs: {},
    argsrepr: "",
    kwargsrepr: "",
    callbacks: null,
    errbacks: null,
    chain: null,
    chord: null,
    children: [],
  };
  return {
    ...makeSelf({
      name,
      appName,
      maxRetries: 0,
      defaultRetryDelay: 0,
      signal: new AbortController().signal,
      request,
      log,
      storeState: async () => {},
      sendEvent: (type, fields) => sendEvent(anonNodename(), type, { uuid: id, ...fields }),
      addToChord: () => Promise.reject(new RangeError(NO_CHORD)),
    }),
    // Nobody could send it again: Celery, too, raises the error itself when a task is called directly.
    retry: ({ exc } = {}) => (exc instanceof Error ? exc : new Retry(null, null, "Task can be retried")),
  };
}
