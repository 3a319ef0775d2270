import type { SignatureData } from "../../../protocol/canvas/signature.ts";
import { type Self, TaskDefinition, type TaskOptions } from "../../app/task.ts";
import type { ServedTasks, WorkerContext } from "../context.ts";

/** What the built-in tasks are made with. */
export interface BuiltinContext {
  readonly worker: WorkerContext;
  /** Fails the body of a chord in its place, and all that waits for it. */
  failBody(body: SignatureData, error: Error): Promise<void>;
}

/** One built-in task. */
export type Builtin = (context: BuiltinContext) => TaskDefinition;

/** A built-in task's options: its parameters as Python names them. */
export interface BuiltinOptions extends TaskOptions {
  parameters: string[];
  /** False for one that looks into its arguments. Others get every value as it came, since it is not theirs. */
  forwards?: boolean;
}

/** A task that every worker serves. The handler gets `self` and then its arguments. */
export function builtin(
  { worker }: BuiltinContext,
  { forwards = true, ...options }: BuiltinOptions,
  handler: (self: Self, ...args: never[]) => unknown,
): TaskDefinition {
  return new TaskDefinition({ ...options, bind: true }, handler as never, worker.settings, forwards);
}

/** The application's tasks and the built-in ones: whoever defines a task of such a name means it. */
export function withBuiltins(own: ServedTasks, builtins: ReadonlyMap<string, TaskDefinition>): ServedTasks {
  return {
    get: (name) => own.get(name) ?? builtins.get(name),
    keys: () => new Set([...own.keys(), ...builtins.keys()]),
    values: () => new Map([...builtins, ...[...own.values()].map((task) => [task.name, task] as const)]).values(),
  };
}
