import type { State } from "../../protocol/result/states.ts";
import type { TaskError } from "./errors.ts";
import { AsyncResult, type GetOptions, type ResultContext } from "./result.ts";
import type { Untyped } from "./untyped.ts";

/** How a task ended that ran where it was called. */
export interface EagerEnd {
  readonly state: State;
  /** What it returned. */
  readonly value: unknown;
  /** What it failed with, as `get()` of a stored result would give it; its `cause` is what was thrown. */
  readonly error: TaskError | null;
}

/** The result of a task that ran where it was called: nothing is waited for. Mirrors `celery/result.py EagerResult`. */
export class EagerResult<R = Untyped> extends AsyncResult<R> {
  readonly #end: EagerEnd;
  #isRevoked = false;

  constructor(context: ResultContext, id: string, end: EagerEnd, parent: AsyncResult | null = null) {
    super(context, id, parent);
    this.#end = end;
  }

  /** The same, as that of a task that followed another. */
  after(parent: AsyncResult): EagerResult<R> {
    return new EagerResult<R>(this.context, this.id, this.#end, parent);
  }

  override async get(options: GetOptions = {}): Promise<R> {
    const { error, state, value } = this.#end;
    if (error && options.propagate !== false) throw error;
    if (error) return error as R;
    return (state === "SUCCESS" ? value : undefined) as R;
  }

  override async state(): Promise<State> {
    return this.#isRevoked ? "REVOKED" : this.#end.state;
  }

  override async info(): Promise<Untyped> {
    return this.#end.error ?? this.#end.value;
  }

  override async ready(): Promise<boolean> {
    return true;
  }

  override async successful(): Promise<boolean> {
    return (await this.state()) === "SUCCESS";
  }

  override async failed(): Promise<boolean> {
    return (await this.state()) === "FAILURE";
  }

  override async children(): Promise<AsyncResult[]> {
    return [];
  }

  override async traceback(): Promise<string | null> {
    return this.#end.error?.traceback ?? null;
  }

  override async forget(): Promise<void> {}

  /** Too late to do anything, but it is said. */
  override async revoke(): Promise<void> {
    this.#isRevoked = true;
  }
}
