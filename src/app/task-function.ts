import { clone, type SignatureData, signature } from "../../protocol/canvas/signature.ts";
import type { EagerRunner } from "./eager-canvas.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { AsyncResult } from "./result.ts";
import { type ApplyOptions, keywords, type SendOptions, wireOptions } from "./send-options.ts";
import { type Canvas, Signature } from "./signature.ts";
import type { Self, Task, TaskDefinition } from "./task.ts";

/** What a task function needs of its application. */
export interface TaskFunctionContext {
  readonly canvas: Canvas;
  readonly eager: EagerRunner;
  /** The `self` of a task that is called in place. */
  selfInPlace(definition: TaskDefinition): Self;
}

/** The arguments of a call, told apart. */
interface Call {
  args: readonly unknown[];
  kwargs: Record<string, unknown>;
}

/**
 * The function that stands for a task in the application's code.
 *
 * @param target the registration, or for a task of somebody else's the options that it is sent with
 */
export function taskFunction(
  name: string,
  target: TaskDefinition | Record<string, unknown>,
  context: TaskFunctionContext,
): Task {
  const definition = isDefinition(target) ? target : undefined;
  const defaults = Object.freeze(isDefinition(target) ? {} : target);
  const data = (call: Call, immutable = false): SignatureData =>
    signature(name, call.args, { ...call.kwargs }, { ...defaults }, immutable);
  const call = (args: readonly unknown[]): Call => asCall(definition, args);
  const send = (sent: Call): Promise<AsyncResult> => context.canvas.send(name, sent.args, sent.kwargs, defaults);
  const made = (sent: SignatureData): Signature => new Signature(context.canvas, sent);

  const task = async (...args: unknown[]): Promise<unknown> => {
    if (!definition) throw new ImproperlyConfigured(`task ${name} is served elsewhere and cannot be called in place`);
    const { args: positional, kwargs } = call(args);
    return definition.call(await definition.bind(positional, kwargs), context.selfInPlace(definition));
  };
  const methods = {
    delay: (...args: unknown[]) => send(call(args)),
    // A wrong call rejects, and never throws at once.
    applyAsync: async (args: unknown = [], options: SendOptions = {}) => {
      const sent = Array.isArray(args) || args === null ? { args: args ?? [], kwargs: {} } : call([args]);
      const wire = wireOptions(options ?? {});
      const kwargs = { ...sent.kwargs, ...keywords(options?.kwargs) };
      return context.canvas.send(name, sent.args, kwargs, isEmpty(wire) ? defaults : { ...defaults, ...wire });
    },
    apply: async (args: unknown = [], options: ApplyOptions = {}) => {
      if (!definition) throw new ImproperlyConfigured(`task ${name} is served elsewhere and cannot run here`);
      const given = Array.isArray(args) || args === null ? { args: args ?? [], kwargs: {} } : call([args]);
      const kwargs = { ...given.kwargs, ...keywords(options?.kwargs) };
      return context.eager.apply(name, given.args, kwargs, {
        ...definition.sendOptions,
        ...wireOptions(options ?? {}),
      });
    },
    s: (...args: unknown[]) => made(data(call(args))),
    si: (...args: unknown[]) => made(data(call(args), true)),
    map: (items: Iterable<unknown>) => made(mapOf("celery.map", data(call([])), [...items])),
    starmap: (items: Iterable<unknown[]>) => made(mapOf("celery.starmap", data(call([])), [...items])),
    chunks: (items: Iterable<unknown[]>, n: number) => made(chunksOf(data(call([])), [...items], n)),
  };
  return Object.defineProperty(Object.assign(task, methods), "name", { value: name }) as unknown as Task;
}

function isEmpty(options: object): boolean {
  for (const _ in options) return false;
  return true;
}

function isDefinition(target: TaskDefinition | Record<string, unknown>): target is TaskDefinition {
  return typeof (target as TaskDefinition).bind === "function";
}

/** A task with a contract takes one object, which is sent as keyword arguments. */
function asCall(definition: TaskDefinition | undefined, args: readonly unknown[]): Call {
  const [first] = args;
  const isObject = typeof first === "object" && first !== null && !Array.isArray(first);
  if (definition?.hasContract && args.length === 1 && isObject) {
    return { args: [], kwargs: first as Record<string, unknown> };
  }
  return { args, kwargs: {} };
}

/**
 * Mirrors `celery/canvas.py xmap` and `xstarmap`: a task of the worker's own that calls this one in a loop. It goes
 * where this one would.
 */
function mapOf(name: string, task: SignatureData, items: unknown[]): SignatureData {
  return signature(name, [], { task: clone(task), it: items }, { ...task.options }, true);
}

function chunksOf(task: SignatureData, items: unknown[][], n: number): SignatureData {
  return signature("celery.chunks", [], { task: clone(task), it: items, n }, { ...task.options }, true);
}
