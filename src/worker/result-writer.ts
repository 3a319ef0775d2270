import { writes } from "../../protocol/compatibility.ts";
import { isMapping } from "../../protocol/message/headers.ts";
import { exceptionRepr, readException, type StoredException } from "../../protocol/result/exception.ts";
import { type MetaRequest, taskMeta } from "../../protocol/result/meta.ts";
import type { ResultTuple } from "../../protocol/result/result-tuple.ts";
import { OperationalError } from "../app/errors.ts";
import { pythonException, storedException, tracebackOf } from "../app/exception.ts";
import { AsyncResult, GroupResult } from "../app/result.ts";
import type { ResultBackend } from "../backends/backend.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";

/** How long storing one result is tried while the backend is away: Celery's Redis backend gives up after as long. */
const STORE_ATTEMPTS = 20;
const STORE_PAUSE_MS = 1000;

/** An exception as it is stored and shown. */
export interface RecordedError {
  stored: StoredException;
  traceback: string;
}

/** Where an error from a child keeps how it was recorded there. */
const RECORDED = Symbol("recorded");

/** Notes that an error was recorded before, in the child that it was thrown in. @returns the error */
export function recordedAs<E extends Error>(error: E, recorded: RecordedError): E {
  return Object.assign(error, { [RECORDED]: recorded });
}

/** Writes what becomes of tasks to the result backend. */
export class ResultWriter {
  readonly #context: WorkerContext;

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /**
   * Stores a state. Waits out a backend that is away.
   * @throws EncodeError when the serializer cannot write the result; nothing was stored
   */
  async store(
    request: Request,
    state: string,
    result: unknown,
    options: {
      traceback?: string | null;
      children?: ResultTuple[];
      args?: unknown[];
      kwargs?: Record<string, unknown>;
    } = {},
  ): Promise<void> {
    await this.storeFor(request.id, this.#metaRequest(request, options), state, result, options.traceback ?? null, {
      replyTo: request.replyTo,
      correlationId: request.correlationId,
    });
  }

  /** The same for a task that is not this worker's: the rest of a failed chain, the body of a failed chord. */
  async storeFor(
    taskId: string,
    metaRequest: MetaRequest | undefined,
    state: string,
    result: unknown,
    traceback: string | null,
    reply: { replyTo: string | null; correlationId: string | null } = { replyTo: null, correlationId: taskId },
  ): Promise<void> {
    const meta = taskMeta({
      taskId,
      state,
      result: asValue(result),
      traceback,
      request: metaRequest,
      extended: this.#context.settings.resultExtended,
      now: this.#context.isoNow(),
    });
    await this.#persistently(`result of ${taskId}`, (backend) => backend.storeResult(meta, reply, metaRequest));
  }

  /** An error in the form that it is stored in. */
  record(error: unknown): RecordedError {
    const { [RECORDED]: recorded } = (error ?? {}) as { [RECORDED]?: RecordedError };
    if (recorded) return recorded;
    const exception = pythonException(error, this.#context.name);
    return {
      stored: storedException(exception, (value) => this.#encodable(value)),
      traceback: tracebackOf(error, exception),
    };
  }

  #encodable(value: unknown): boolean {
    try {
      this.#context.resultCodec.encode(value);
      return true;
    } catch {
      return false;
    }
  }

  #metaRequest(
    request: Request,
    { children, args, kwargs }: { children?: ResultTuple[]; args?: unknown[]; kwargs?: Record<string, unknown> },
  ): MetaRequest {
    const { headers, delivery } = request;
    return {
      group: headers.group,
      parentId: headers.parent_id,
      name: request.task,
      args,
      kwargs,
      hostname: this.#workerName(request.hostname),
      retries: headers.retries,
      routingKey: delivery.routingKey,
      stampedHeaders: headers.stamped_headers,
      stamps: headers.stamps,
      argsrepr: headers.argsrepr,
      kwargsrepr: headers.kwargsrepr,
      ...(typeof headers.periodic_task_name === "string" && { periodicTaskName: headers.periodic_task_name }),
      ...(isMapping(headers.meta) && { meta: headers.meta }),
      ...(children && { children }),
    };
  }

  /** Celery 5.0 records the host alone. */
  #workerName(nodename: string): string {
    if (writes(this.#context.settings.compatibility, "workerNodename")) return nodename;
    return nodename.slice(nodename.indexOf("@") + 1);
  }

  async #persistently(what: string, store: (backend: ResultBackend) => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await store(await this.#context.backend());
      } catch (error) {
        if (!(error instanceof OperationalError) || attempt === STORE_ATTEMPTS) throw error;
        this.#context.log.error({ err: error }, `Could not store the ${what}, trying again: ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, STORE_PAUSE_MS));
      }
    }
  }
}

/** An error as logs and events show it: its repr. */
export function shownError({ stored }: RecordedError): string {
  return exceptionRepr(readException(stored));
}

/** A task may return the result of a task that it sent: what is stored is where to find that. */
export function asValue(result: unknown): unknown {
  return result instanceof AsyncResult ? resultTuple(result) : result;
}

function resultTuple(result: AsyncResult): ResultTuple {
  const members = result instanceof GroupResult ? result.results.map(resultTuple) : null;
  return [[result.id, result.parent && resultTuple(result.parent)], members];
}
