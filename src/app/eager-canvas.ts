import { randomUUID } from "node:crypto";
import { bodyOf, clone, groupOf, merge, type SignatureData, tasksOf } from "../../protocol/canvas/signature.ts";
import type { EagerResult } from "./eager-result.ts";
import { ImproperlyConfigured } from "./errors.ts";
import { type AsyncResult, GroupResult, type ResultContext } from "./result.ts";

type Options = Record<string, unknown>;

/** Runs tasks where they are called; `src/worker/eager.ts` does. Options are under the wire's names. */
export interface EagerRunner {
  /** Whether a task can run here. */
  serves(name: string): boolean;
  /** Runs it on what a message would make of the arguments. */
  call(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<EagerResult>;
  /** Runs it on the arguments as they are. @throws NotRegistered */
  apply(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<EagerResult>;
}

/** Runs chains, groups and chords where they are called, one task after the other. Mirrors `celery/canvas.py … apply`. */
export class EagerCanvas {
  readonly #results: ResultContext;
  readonly #runner: EagerRunner;

  constructor(results: ResultContext, runner: EagerRunner) {
    this.#results = results;
    this.#runner = runner;
  }

  /** @throws what a task ended with that others wait for */
  apply(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    switch (data.subtask_type) {
      case "chain":
        return this.#chain(data, args, kwargs, options);
      case "group":
        return this.#group(data, args, kwargs, options);
      case "chord":
        return this.#chord(data, args, kwargs, options);
      default: {
        const call = merge(data, args, kwargs, options);
        return this.#runner.apply(data.task, call.args, call.kwargs, call.options);
      }
    }
  }

  async #chain(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    // What is to follow the chain follows its last task; an error of any is the chain's.
    const { link, task_id, ...shared } = { ...data.options, ...options };
    const tasks = tasksOf(data);
    const own = { ...(link !== undefined && { link }), ...(task_id !== undefined && { task_id }) };
    let last: AsyncResult | undefined;
    for (const [at, task] of tasks.entries()) {
      const given = last ? [await last.get()] : data.immutable ? data.args : [...args, ...data.args];
      const more = at === tasks.length - 1 ? { ...shared, ...own } : shared;
      const result = await this.apply(clone(task), given, last ? {} : kwargs, more);
      last = last && "after" in result ? (result as EagerResult).after(last) : result;
    }
    if (!last) throw new ImproperlyConfigured("an empty chain cannot be sent");
    return last;
  }

  async #group(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<GroupResult> {
    const { task_id, ...shared } = { ...data.options, ...options };
    const results: AsyncResult[] = [];
    for (const task of tasksOf(data)) results.push(await this.apply(clone(task), args, kwargs, shared));
    return new GroupResult(this.#results, typeof task_id === "string" ? task_id : randomUUID(), results);
  }

  async #chord(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    const body = bodyOf(data);
    if (!body) throw new ImproperlyConfigured("a chord cannot be sent without a body");
    const { header } = data.kwargs;
    const group = Array.isArray(header) ? groupOf(header as SignatureData[]) : clone(header as SignatureData);
    const results = await this.#group(group, data.immutable ? data.args : [...args, ...data.args], kwargs, {});
    return this.apply(clone(body), [await results.get()], {}, options);
  }
}
