import { linkErrorTo, linkTo, pipe } from "../../protocol/canvas/compose.ts";
import { canvasDiagram } from "../../protocol/canvas/diagram.ts";
import { clone, listOption, type SignatureData, tasksOf } from "../../protocol/canvas/signature.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { AsyncResult } from "./result.ts";
import { type ApplyOptions, keywords, positional, type SendOptions, wireOptions } from "./send-options.ts";
import type { Untyped } from "./untyped.ts";

/** Sends signatures: what a signature needs of its application. */
export interface Canvas {
  /** Sends one task: what applying a signature of it comes to, without making one. */
  send(
    name: string,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<AsyncResult>;
  apply(
    data: SignatureData,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<AsyncResult>;
  /** Runs it here and now, in this process. */
  applyEagerly(
    data: SignatureData,
    args: readonly unknown[],
    kwargs: Record<string, unknown>,
    options: Record<string, unknown>,
  ): Promise<AsyncResult>;
  /** Counts a result among the children of the running task, if any. */
  addToParent(node: ResultNode): void;
  readonly errbacksOnChordHeader: boolean;
}

/**
 * A task call that can be passed on, kept and sent later: what `task.s()`, `chain()`, `group()` and `chord()` make.
 * The methods that add to it change it and return it.
 */
export class Signature<R = Untyped> {
  readonly #canvas: Canvas | null;
  readonly #data: SignatureData;

  /** @param canvas null for one made of nothing that knows an application */
  constructor(canvas: Canvas | null, data: SignatureData) {
    this.#canvas = canvas;
    this.#data = data;
  }

  /** The task's name. */
  get task(): string {
    return this.#data.task;
  }

  /** What sends it, for signatures made of this one. */
  get canvas(): Canvas | null {
    return this.#canvas;
  }

  /** The signature as it is written into messages. */
  toJSON(): SignatureData {
    return this.#data;
  }

  /** Sets send options; those of a group are set on its tasks when it is sent. */
  set(options: SendOptions & { immutable?: boolean }): this {
    const { immutable, ...sendOptions } = options;
    if (immutable !== undefined) setImmutable(this.#data, immutable);
    Object.assign(this.#data.options, wireOptions(sendOptions));
    return this;
  }

  /** Calls another signature with the result when this one succeeds. */
  link(callback: Signature): this {
    linkTo(this.#data, clone(callback.#data));
    return this;
  }

  /** Calls another signature when this one fails. */
  onError(errback: Signature): this {
    linkErrorTo(this.#data, clone(errback.#data), this.#canvas?.errbacksOnChordHeader);
    return this;
  }

  /** Marks the tasks with headers by which they can be found and revoked. */
  stamp(stamps: Record<string, unknown>): this {
    stampAll(this.#data, stamps);
    return this;
  }

  /** The other signature after this one, with its result: Python's `this | next`. */
  pipe<N>(next: Signature<N>): Signature<N> {
    return new Signature<N>(this.#canvas ?? next.#canvas, pipe(clone(this.#data), clone(next.#data)));
  }

  /** The canvas as a flowchart in the language of Mermaid, for documents and pull requests. */
  toMermaid(): string {
    return canvasDiagram(this.#data);
  }

  clone(): Signature<R> {
    return new Signature<R>(this.#canvas, clone(this.#data));
  }

  /** Sends it with more arguments in front of its own. */
  delay(...args: unknown[]): Promise<AsyncResult<R>> {
    return this.applyAsync(args);
  }

  /**
   * Sends it. The signature itself stays as it is and can be sent again.
   * @param args put in front of its own
   */
  async applyAsync(args: readonly unknown[] = [], options: SendOptions = {}): Promise<AsyncResult<R>> {
    if (!this.#canvas) throw new ImproperlyConfigured("there is nothing to send: the chain, group or chord is empty");
    const wire = wireOptions(options ?? {});
    const result = await this.#canvas.apply(clone(this.#data), positional(args), keywords(options?.kwargs), wire);
    return result as AsyncResult<R>;
  }

  /**
   * Runs it here and now, in this process, one task after the other, without any message.
   * @throws NotRegistered for a task that this side does not serve; what a task of a chain or a chord's header ended with
   */
  async apply(args: readonly unknown[] = [], options: ApplyOptions = {}): Promise<AsyncResult<R>> {
    if (!this.#canvas) throw new ImproperlyConfigured("there is nothing to run: the chain, group or chord is empty");
    const wire = wireOptions(options ?? {});
    const { kwargs } = options ?? {};
    const result = await this.#canvas.applyEagerly(clone(this.#data), positional(args), keywords(kwargs), wire);
    return result as AsyncResult<R>;
  }
}

function setImmutable(data: SignatureData, immutable: boolean): void {
  if (data.subtask_type === "group" || data.subtask_type === "chord") {
    for (const task of tasksOf(data)) setImmutable(task, immutable);
  } else {
    data.immutable = immutable;
  }
}

/**
 * Of a canvas its tasks are stamped, of a chord those of the header, and what is linked to any of them.
 * Mirrors `celery/canvas.py stamp` of each type, without a visitor.
 */
function stampAll(data: SignatureData, stamps: Record<string, unknown>): void {
  for (const name of ["link", "link_error"] as const)
    for (const linked of listOption(data, name)) stampAll(linked, stamps);
  if (data.subtask_type) {
    for (const task of tasksOf(data)) stampAll(task, stamps);
    return;
  }
  const stamped = new Set([...((data.options.stamped_headers as string[] | undefined) ?? []), ...Object.keys(stamps)]);
  Object.assign(data.options, stamps, { stamped_headers: [...stamped] });
}
