import { resultDiagram } from "../../protocol/canvas/diagram.ts";
import type { TaskMeta } from "../../protocol/result/meta.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { fromTuple } from "../../protocol/result/result-tuple.ts";
import { EXCEPTION_STATES, PROPAGATE_STATES, READY_STATES, type State } from "../../protocol/result/states.ts";
import type { ResultBackend } from "../backends/backend.ts";
import { after } from "../timer.ts";
import { TimeoutError } from "./errors.ts";
import { taskError } from "./exception.ts";
import type { Untyped } from "./untyped.ts";

/** Pause between two looks at the results that one follows, in milliseconds. */
const PARENTS_MS = 1000;

/** How `get()` waits. */
export interface GetOptions {
  /** Seconds; for ever when left out. */
  timeout?: number;
  /** Ends the wait with the signal's reason. The task goes on. */
  signal?: AbortSignal;
  /** False to resolve with the error of a failed task instead of rejecting with it. */
  propagate?: boolean;
  /** Told of each state that is stored while waiting: STARTED, RETRY, those of the task's own. */
  onState?: (state: State, info: unknown) => void;
}

/** What a result needs of its application. */
export interface ResultContext {
  backend(): Promise<ResultBackend>;
  revoke(taskId: string, options: { terminate?: boolean; signal?: string }): Promise<unknown>;
}

/** The result of a task that was sent, here or anywhere: all one needs is the id. */
export class AsyncResult<R = Untyped> {
  readonly id: string;
  /** The result that this one followed, in a chain or as the body of a chord. */
  readonly parent: AsyncResult | null;
  protected readonly context: ResultContext;
  readonly #ignored: boolean;

  /** @param ignored true when it is known that no result is stored */
  constructor(context: ResultContext, id: string, parent: AsyncResult | null = null, ignored = false) {
    this.context = context;
    this.id = id;
    this.parent = parent;
    this.#ignored = ignored;
  }

  /**
   * Waits for the task and resolves with its result, through STARTED and RETRY. Undefined at once for a task sent
   * with `ignoreResult`. Where the task follows others and one of those failed, it rejects with that error: Celery up to
   * 5.1 does not tell those that follow. Inside a task it is allowed, and can dead-lock a worker whose slots all wait.
   *
   * @throws TaskError what the task failed with; TimeoutError when it took longer than `timeout` seconds
   */
  async get(options: GetOptions = {}): Promise<R> {
    if (this.#ignored) return undefined as R;
    const meta = await this.#wait(options);
    if (!PROPAGATE_STATES.has(meta.status)) return meta.result as R;
    const error = taskError(meta.result, meta.traceback);
    if (options.propagate === false) return error as R;
    throw error;
  }

  /** PENDING also for a task that nobody ever sent. */
  async state(): Promise<State> {
    return (await this.#meta()).status;
  }

  /** The result, the error of a failed task, or what a state of the task's own carries. */
  async info(): Promise<Untyped> {
    const meta = await this.#meta();
    if (!EXCEPTION_STATES.has(meta.status)) return meta.result;
    return meta.result === null ? null : taskError(meta.result, meta.traceback);
  }

  async ready(): Promise<boolean> {
    return READY_STATES.has((await this.#meta()).status);
  }

  async successful(): Promise<boolean> {
    return (await this.#meta()).status === "SUCCESS";
  }

  async failed(): Promise<boolean> {
    return (await this.#meta()).status === "FAILURE";
  }

  /** The results of what the task itself sent. */
  async children(): Promise<AsyncResult[]> {
    const nodes = (await this.#meta()).children.map(fromTuple).filter((node) => node !== null);
    return nodes.map((node) => resultFromNode(this.context, node));
  }

  async traceback(): Promise<string | null> {
    return (await this.#meta()).traceback;
  }

  /** Drops the stored result. */
  async forget(): Promise<void> {
    await (await this.context.backend()).forget(this.id);
  }

  /** Has workers drop the task when it comes up; with `terminate` also when it runs already. */
  async revoke(options: { terminate?: boolean; signal?: string } = {}): Promise<void> {
    await this.context.revoke(this.id, options);
  }

  /**
   * This result and the results of all that its task sent, and those sent again, as they come: each with its value.
   * Mirrors `celery/result.py AsyncResult.collect`.
   * @throws as `get` does, for the first that failed
   */
  async *collect(options: GetOptions = {}): AsyncGenerator<[result: AsyncResult, value: Untyped]> {
    yield [this as AsyncResult, await this.get(options)];
    for (const child of await this.children()) yield* child.collect(options);
  }

  /**
   * What this result follows and is made of, each task with its state of now, as a flowchart in the language of Mermaid.
   * Tasks are told by their names where results are extended, else by their ids.
   */
  async toMermaid(): Promise<string> {
    const backend = await this.context.backend();
    const node = nodeOf(this as AsyncResult);
    const ids = tasksOf(node);
    const metas = await Promise.all(ids.map((id) => backend.getTaskMeta(id)));
    return resultDiagram(node, new Map(ids.map((id, position) => [id, metas[position] as TaskMeta])));
  }

  toString(): string {
    return this.id;
  }

  async #meta(): Promise<TaskMeta> {
    return (await this.context.backend()).getTaskMeta(this.id);
  }

  /**
   * Looks at the parents every now and then, as `celery/result.py _maybe_reraise_parent_error` does.
   * @returns what stops it
   */
  #followParents(backend: ResultBackend, controller: AbortController): () => void {
    let stopped = false;
    let cancel = (): void => {};
    const look = async (): Promise<void> => {
      try {
        for (let { parent } = this as AsyncResult; parent && !stopped; parent = parent.parent) {
          if (parent instanceof GroupResult) continue;
          const meta = await backend.getTaskMeta(parent.id);
          if (PROPAGATE_STATES.has(meta.status)) controller.abort(new ParentFailed(meta));
        }
      } catch {
        // A backend that is away is the wait's to tell of.
      }
      if (!stopped) cancel = after(PARENTS_MS, () => void look());
    };
    cancel = after(PARENTS_MS, () => void look());
    return () => {
      stopped = true;
      cancel();
    };
  }

  async #wait({ timeout, signal, onState }: GetOptions): Promise<TaskMeta> {
    const backend = await this.context.backend();
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    const expire = (): void => controller.abort(new TimeoutError("The operation timed out."));
    const cancel = timeout === undefined ? undefined : after(timeout * 1000, expire);
    const tell = onState && ((meta: TaskMeta): void => onState(meta.status, meta.result));
    const stopFollowing = this.parent ? this.#followParents(backend, controller) : undefined;
    try {
      return await backend.wait(this.id, controller.signal, tell);
    } catch (error) {
      if (error instanceof ParentFailed) return error.meta;
      throw error;
    } finally {
      stopFollowing?.();
      cancel?.();
      signal?.removeEventListener("abort", abort);
    }
  }
}

/** Ends the wait for a task that will never run. */
class ParentFailed extends Error {
  readonly meta: TaskMeta;

  constructor(meta: TaskMeta) {
    super(`a task that this one follows ended as ${meta.status}`);
    this.meta = meta;
  }
}

/** The results of a group, in the order of its tasks. */
export class GroupResult<R = Untyped> extends AsyncResult<R[]> {
  readonly results: AsyncResult<R>[];

  constructor(context: ResultContext, id: string, results: AsyncResult<R>[], parent: AsyncResult | null = null) {
    super(context, id, parent);
    this.results = results;
  }

  override async get(options: GetOptions = {}): Promise<R[]> {
    return Promise.all(this.results.map((result) => result.get(options)));
  }

  override async state(): Promise<State> {
    const states = await Promise.all(this.results.map((result) => result.state()));
    return (
      states.find((state) => PROPAGATE_STATES.has(state)) ?? states.find((state) => state !== "SUCCESS") ?? "SUCCESS"
    );
  }

  override async info(): Promise<Untyped> {
    return Promise.all(this.results.map((result) => result.info()));
  }

  override async ready(): Promise<boolean> {
    return (await Promise.all(this.results.map((result) => result.ready()))).every(Boolean);
  }

  override async successful(): Promise<boolean> {
    return (await Promise.all(this.results.map((result) => result.successful()))).every(Boolean);
  }

  override async failed(): Promise<boolean> {
    return (await Promise.all(this.results.map((result) => result.failed()))).some(Boolean);
  }

  override async children(): Promise<AsyncResult[]> {
    return this.results;
  }

  /**
   * The members' results as they come, whichever is first.
   * @throws as `get` does, for the first that fails; with `propagate: false` its error is the value
   */
  async *asCompleted(options: GetOptions = {}): AsyncGenerator<[result: AsyncResult<R>, value: R]> {
    const settle: ((next: [AsyncResult<R>, R] | Promise<never>) => void)[] = [];
    const inOrder = this.results.map(() => new Promise<[AsyncResult<R>, R]>((resolve) => settle.push(resolve)));
    let settled = 0;
    for (const result of this.results) {
      const next = result.get(options).then((value): [AsyncResult<R>, R] => [result, value]);
      next.then(
        (pair) => settle[settled++]?.(pair),
        (error: unknown) => settle[settled++]?.(Promise.reject(error)),
      );
    }
    // Those that nobody comes to ask for, since an earlier one failed, are no unhandled rejections.
    for (const next of inOrder) next.catch(() => undefined);
    for (const next of inOrder) yield await next;
  }

  /** Keeps the ids of the members, for {@link Celery.restoreGroup} in another process. Mirrors `GroupResult.save`. */
  async save(): Promise<void> {
    await (await this.context.backend()).saveGroup(nodeOf(this as AsyncResult));
  }

  /** Drops what {@link save} kept. The members' results stay. */
  async delete(): Promise<void> {
    await (await this.context.backend()).deleteGroup(this.id);
  }

  /** How many of the tasks have succeeded. */
  async completedCount(): Promise<number> {
    return (await Promise.all(this.results.map((result) => result.successful()))).filter(Boolean).length;
  }

  override async forget(): Promise<void> {
    await Promise.all(this.results.map((result) => result.forget()));
  }

  override async revoke(options: { terminate?: boolean; signal?: string } = {}): Promise<void> {
    await Promise.all(this.results.map((result) => result.revoke(options)));
  }
}

/** A result as it is handed about. */
function nodeOf(result: AsyncResult): ResultNode {
  const { id, parent } = result;
  const results = result instanceof GroupResult ? result.results.map(nodeOf) : null;
  return { id, parent: parent && nodeOf(parent), results };
}

/** The ids of all tasks in a result, and of those that it follows. */
function tasksOf(node: ResultNode): string[] {
  return [...(node.parent ? tasksOf(node.parent) : []), ...(node.results ? node.results.flatMap(tasksOf) : [node.id])];
}

/** A result with its parents and members. */
export function resultFromNode(context: ResultContext, node: ResultNode): AsyncResult {
  const parent = node.parent && resultFromNode(context, node.parent);
  if (!node.results) return new AsyncResult(context, node.id, parent);
  const results = node.results.map((member) => resultFromNode(context, member));
  return new GroupResult(context, node.id, results, parent);
}
