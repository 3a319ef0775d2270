import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { type MetaInput, taskMeta } from "../protocol/result/meta.ts";
import type { Celery } from "../src/index.ts";
import { type PythonClient, PythonError } from "./python.ts";

/** Results that one side stores and the other is asked for, one task after another. */
export class ResultSides {
  readonly app: Celery;
  readonly client: PythonClient;
  /** What Python's application is called there. */
  readonly python: string;
  /** The task that was stored last. */
  id: string = randomUUID();

  /** @param client with the names of `python/results.py` */
  constructor(app: Celery, client: PythonClient, python = "app") {
    this.app = app;
    this.client = client;
    this.python = python;
  }

  /** Stores a result of a new task in Python. @param args result, state and more of `store`, as Python */
  async fromPython(args: string): Promise<void> {
    this.id = randomUUID();
    await this.againFromPython(args);
  }

  /** The same for the task that is there. */
  async againFromPython(args: string): Promise<void> {
    await this.client.run(`store(${this.python}, "${this.id}", ${await this.#toTypescript()}, ${args})`);
  }

  async revokedByPython(): Promise<void> {
    this.id = randomUUID();
    await this.client.run(`revoke(${this.python}, "${this.id}", ${await this.#toTypescript()})`);
  }

  /** Stores a result of a new task in TypeScript. */
  async fromTypescript(state: string, result: unknown, more: Partial<MetaInput> = {}): Promise<void> {
    const replyTo = await this.address();
    this.id = randomUUID();
    await this.againFromTypescript(state, result, more, replyTo);
  }

  /** The same for the task that is there. @param replyTo what `address` said, where results are messages */
  async againFromTypescript(
    state: string,
    result: unknown,
    more: Partial<MetaInput> = {},
    replyTo: string | null = null,
  ): Promise<void> {
    const meta = taskMeta({ taskId: this.id, state, result, now: new Date().toISOString(), ...more });
    await (await this.app.backend()).storeResult(meta, { replyTo, correlationId: this.id }, more.request);
  }

  /** Where Python waits for results that are messages; null where they are stored. */
  async address(): Promise<string | null> {
    if ((await this.app.backend()).replyTo === undefined) return null;
    return this.client.run<string>(`reply_queue(${this.python})`);
  }

  /** Asks Python's AsyncResult. @param code with `r` for it */
  asked<T = unknown>(code: string): Promise<T> {
    return this.client.run<T>(`r = ${this.python}.AsyncResult("${this.id}")\nresult = ${code}`);
  }

  /** What `get()` raises in Python. */
  async raised(): Promise<PythonError> {
    const error = await caught(this.asked("r.get(timeout=20)"));
    expect(error).toBeInstanceOf(PythonError);
    return error as PythonError;
  }

  get(): Promise<unknown> {
    return this.app.asyncResult(this.id).get({ timeout: 20 });
  }

  /** What TypeScript sees of a task that is not over, as soon as it is in this state. */
  async seen(state: string): Promise<unknown> {
    const result = this.app.asyncResult(this.id);
    await expect.poll(() => result.state(), { timeout: 20_000 }).toBe(state);
    return result.info();
  }

  /** What a message is sent to by Python, as Python. */
  async #toTypescript(): Promise<string> {
    const backend = await this.app.backend();
    await backend.prepare?.();
    return backend.replyTo === undefined ? "None" : JSON.stringify(backend.replyTo);
  }
}

/** What a promise rejects with. */
export function caught(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => error);
}
