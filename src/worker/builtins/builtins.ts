import type { TaskDefinition } from "../../app/task.ts";
import { accumulate } from "./accumulate.ts";
import { backendCleanup } from "./backend-cleanup.ts";
import type { BuiltinContext } from "./builtin.ts";
import { chain, chord, group } from "./canvas.ts";
import { chordUnlock } from "./chord-unlock.ts";
import { chunks, map, starmap } from "./map.ts";

/** The tasks that a worker serves whatever the application, by name. Mirrors `celery/app/builtins.py`. */
export function builtinTasks(context: BuiltinContext): ReadonlyMap<string, TaskDefinition> {
  const all = [accumulate, backendCleanup, chain, chord, chordUnlock, chunks, group, map, starmap];
  return new Map(all.map((task) => task(context)).map((definition) => [definition.name, definition]));
}
