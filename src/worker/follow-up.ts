import {
  bodyOf,
  clone,
  groupOf,
  listOption,
  readSignature,
  type SignatureData,
  taskIdOf,
  tasksOf,
} from "../../protocol/canvas/signature.ts";
import type { Embed } from "../../protocol/message/embed.ts";
import { repr } from "../../protocol/python/repr.ts";
import type { MetaRequest } from "../../protocol/result/meta.ts";
import { PROPAGATE_STATES } from "../../protocol/result/states.ts";
import type { Self } from "../app/task.ts";
import type { RunningTask, TaskRequest } from "../app/task-request.ts";
import { bodyErrbacks, bodyId, ChordParts } from "./chord-parts.ts";
import type { WorkerContext } from "./context.ts";
import type { Request } from "./request.ts";
import type { RecordedError, ResultWriter } from "./result-writer.ts";
import { type BodyReader, isEmpty } from "./task-body.ts";

/** The task that others follow, as errbacks see it. */
export interface Followed {
  id: string;
  rootId: string;
  group: string | null;
  groupIndex: number | null;
  /** What a local errback is called with in the place of Python's request. */
  request: TaskRequest | { id: string };
  embed: Embed;
}

/** What happens when a task is over: callbacks, the rest of its chain, errbacks, the chord it is a part of. */
export class FollowUp {
  readonly #context: WorkerContext;
  readonly #results: ResultWriter;
  readonly #chords: ChordParts;

  constructor(context: WorkerContext, results: ResultWriter) {
    this.#context = context;
    this.#results = results;
    this.#chords = new ChordParts(context, (...failed) => this.failBody(...failed));
  }

  /**
   * Sends the callbacks, then the next task of the chain, with the result.
   * Mirrors `celery/app/trace.py _dispatch_callbacks_and_chain`.
   */
  async succeeded({ id, rootId, embed }: Followed, result: unknown, priority: number | null): Promise<void> {
    const options = { parent_id: id, root_id: rootId, ...(priority !== null && { priority }) };
    const callbacks = (embed.callbacks ?? []).map(readSignature);
    const [only] = callbacks;
    if (callbacks.length === 1 && only) {
      await this.#send(only, [result], options);
    } else {
      const groups = callbacks.filter((callback) => callback.subtask_type === "group");
      const others = callbacks.filter((callback) => callback.subtask_type !== "group");
      for (const group of groups) await this.#send(group, [result], options);
      if (others.length > 0) await this.#send(groupOf(others), [result], options);
    }
    if (!embed.chain || embed.chain.length === 0) return;
    const [next, ...rest] = [...embed.chain].reverse();
    await this.#send(readSignature(next), [result], { ...options, chain: rest.reverse() });
  }

  /** Tells the chord that one of its parts ended. */
  async partReturned({ id, group, groupIndex, embed }: Followed, state: string, result: unknown): Promise<void> {
    if (!embed.chord || !group) return;
    await this.#chords.partReturned(embed.chord, { groupId: group, taskId: id, groupIndex, state, result });
  }

  /**
   * Fails the chord, the rest of the chain, and calls the errbacks.
   * Mirrors `celery/backends/base.py mark_as_failure`.
   */
  async failed(followed: Followed, error: unknown, recorded: RecordedError, storeResult: boolean): Promise<void> {
    await this.partReturned(followed, "FAILURE", recorded.stored);
    await this.#failChain(followed.embed.chain ?? [], recorded, storeResult);
    await this.#callErrbacks(followed, error, recorded);
  }

  async #send(sig: SignatureData, args: readonly unknown[], options: Record<string, unknown>): Promise<void> {
    await this.#context.canvas.apply(clone(sig), args, {}, options);
  }

  /** Every later member of the chain fails with the same error, so that whoever waits for the last one learns of it. */
  async #failChain(chain: readonly unknown[], recorded: RecordedError, storeResult: boolean): Promise<void> {
    const pending = chain.map(readSignature);
    for (let sig = pending.shift(); sig; sig = pending.shift()) {
      const id = taskIdOf(sig);
      const inner = innerOf(sig);
      pending.push(...inner);
      const over = sig.options.chord && id ? PROPAGATE_STATES.has(await this.#stateOf(id)) : false;
      if (storeResult && id) {
        await this.#results.storeFor(id, metaRequest(sig), "FAILURE", recorded.stored, recorded.traceback);
      }
      if (id && !over && inner.length === 0) await this.#partFailed(id, sig, recorded);
    }
  }

  async #stateOf(taskId: string): Promise<string> {
    return (await (await this.#context.backend()).getTaskMeta(taskId)).status;
  }

  /** An errback that this worker serves and that takes more than an id is called here; the others are sent. */
  async #callErrbacks(followed: Followed, error: unknown, recorded: RecordedError): Promise<void> {
    const sent: SignatureData[] = [];
    for (const errback of (followed.embed.errbacks ?? []).map(readSignature)) {
      const definition = this.#context.tasks.get(errback.task);
      if (!definition?.takesError(errback)) {
        sent.push(errback);
        continue;
      }
      try {
        const given = errback.immutable ? [] : [followed.request, error, recorded.traceback];
        const [args, kwargs] = this.#read([errback.args, errback.kwargs]);
        const bound = await definition.bind([...given, ...args], kwargs);
        await definition.call(bound, { name: errback.task } as Self);
      } catch (cause) {
        this.#context.log.error({ err: cause }, `Errback ${errback.task} raised an exception`);
      }
    }
    if (sent.length === 0) return;
    await this.#send(groupOf(sent), [followed.id], { parent_id: followed.id, root_id: followed.rootId });
  }

  /** Values that were kept as they came, to be sent on, as a handler here takes them. */
  #read<T>(forwarded: T): T {
    const { resultCodec } = this.#context;
    return resultCodec.decode(resultCodec.encode(forwarded)) as T;
  }

  /**
   * A chord whose header failed fails its body's result, calls the body's errbacks, and fails what follows it.
   * Mirrors `celery/backends/base.py chord_error_from_stack`.
   *
   * @param callErrbacks false where they were called already
   */
  async failBody(body: SignatureData, error: Error, callErrbacks = true): Promise<void> {
    const result = resultOf(body);
    if (result.subtask_type === "group") await this.#failGroup(result, bodyErrbacks(body), error, callErrbacks);
    else await this.#failResult(result, callErrbacks ? bodyErrbacks(body) : [], error);
    const recorded = this.#results.record(error);
    if (body.subtask_type === "chain") await this.#failChain(tasksOf(body).slice(0, -1), recorded, true);
    await this.#failChain(Array.isArray(body.options.chain) ? (body.options.chain as unknown[]) : [], recorded, true);
  }

  /** Each task of the group fails with what failed the header, if that is known. Mirrors `_handle_group_chord_error`. */
  async #failGroup(
    group: SignatureData,
    ownErrbacks: readonly SignatureData[],
    error: Error,
    callErrbacks: boolean,
  ): Promise<void> {
    const { cause } = error;
    const original = cause instanceof Error ? cause : error;
    for (const task of tasksOf(group)) {
      const errbacks = [...resultErrbacks(task), ...ownErrbacks];
      const shown = errbacks.map((errback) => repr(errback));
      const distinct = errbacks.filter((_, position) => shown.indexOf(shown[position] as string) === position);
      const result = resultOf(task);
      if (result.subtask_type === "group") await this.#failGroup(result, distinct, original, callErrbacks);
      else await this.#failResult(result, callErrbacks ? distinct : [], original);
    }
    const id = taskIdOf(group);
    const { stored, traceback } = this.#results.record(original);
    if (id) await this.#results.storeFor(id, undefined, "FAILURE", stored, traceback);
  }

  /** One that never ran and never will. Celery leaves a chord that it is itself a part of waiting for it. */
  async #failResult(sig: SignatureData, errbacks: readonly SignatureData[], error: Error): Promise<void> {
    const recorded = this.#results.record(error);
    const id = bodyId(sig);
    const followed: Followed = {
      id,
      rootId: id,
      group: null,
      groupIndex: null,
      request: { id },
      embed: { callbacks: null, errbacks, chain: null, chord: null },
    };
    await this.#callErrbacks(followed, error, recorded);
    // What was sent on its account counts as its own, and what else the task that brought it down has sent.
    const children = this.#context.running()?.children;
    const request = children && { children: [...children] };
    await this.#results.storeFor(id, request, "FAILURE", recorded.stored, recorded.traceback);
    await this.#partFailed(id, sig, recorded);
  }

  /** Tells the chord that a task which never ran is a part of, if it is. */
  async #partFailed(taskId: string, { options }: SignatureData, { stored }: RecordedError): Promise<void> {
    const { chord, group_id: groupId, group_index: index } = options;
    if (!chord || typeof groupId !== "string") return;
    const groupIndex = typeof index === "number" ? index : null;
    await this.#chords.partReturned(chord, { groupId, taskId, groupIndex, state: "FAILURE", result: stored });
  }
}

/** What a canvas is made of, as far as it can be waited for. Where it is a part of a chord, what gives its result is. */
function innerOf(sig: SignatureData): SignatureData[] {
  const { chord, group_id } = sig.options;
  const body = sig.subtask_type === "chord" ? bodyOf(sig) : null;
  const isCanvas = sig.subtask_type === "chain" || sig.subtask_type === "group";
  const inner = body ? [body] : isCanvas ? tasksOf(sig) : [];
  if (!chord || !group_id) return inner;
  const part = (task: SignatureData): SignatureData => {
    const copy = clone(task);
    Object.assign(resultOf(copy).options, { chord, group_id });
    return copy;
  };
  return sig.subtask_type === "chain" ? [...inner.slice(0, -1), ...inner.slice(-1).map(part)] : inner.map(part);
}

/** The signature whose result is that of this one: a chord's body, a chain's last task. */
function resultOf(sig: SignatureData): SignatureData {
  const inner = sig.subtask_type === "chord" ? bodyOf(sig) : sig.subtask_type === "chain" ? tasksOf(sig).at(-1) : null;
  return inner ? resultOf(inner) : sig;
}

/** The errbacks of what gives a signature its result. Mirrors `celery/backends/base.py _result_errbacks`. */
function resultErrbacks(sig: SignatureData): SignatureData[] {
  const own = listOption(sig, "link_error");
  const body = sig.subtask_type === "chord" ? bodyOf(sig) : null;
  if (body) return [...own, ...resultErrbacks(body)];
  return sig.subtask_type === "group" ? [...own, ...tasksOf(sig).flatMap(resultErrbacks)] : own;
}

function metaRequest(sig: SignatureData): MetaRequest {
  const { group_id: group, parent_id: parentId } = sig.options;
  return {
    group: typeof group === "string" ? group : null,
    parentId: typeof parentId === "string" ? parentId : null,
    name: sig.task,
    args: sig.args,
    kwargs: sig.kwargs,
    retries: 0,
    hostname: null,
    routingKey: null,
  };
}

/** What others have to know of a task to follow it, but for what follows. */
export function identityOf(request: Request): Omit<Followed, "embed"> {
  return {
    id: request.id,
    rootId: request.headers.root_id ?? request.id,
    group: request.headers.group,
    groupIndex: request.headers.group_index,
    request: { id: request.id },
  };
}

/** What others have to know of a task that ran, and what follows it, every value as it came. */
export async function followedOf(
  request: Request,
  running: Pick<RunningTask, "request" | "embed">,
  bodies: BodyReader,
): Promise<Followed> {
  const embed = isEmpty(running.embed) ? running.embed : (await bodies.forwardOf(request))[2];
  return { ...identityOf(request), request: running.request, embed };
}
