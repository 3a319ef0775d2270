import type { Self } from "../../app/task.ts";
import { type Builtin, builtin } from "./builtin.ts";

/**
 * Gathers what it is called with: the last step of a group that takes the place of one task.
 * Mirrors `celery/app/builtins.py add_accumulate_task`.
 */
export const accumulate: Builtin = (context) =>
  builtin(
    context,
    { name: "celery.accumulate", parameters: ["*args", "**kwargs"] },
    (_: Self, args: unknown[], { index }: { index?: unknown }) => {
      if (index === undefined || index === null) return args;
      const at = Number(index);
      const position = at < 0 ? args.length + at : at;
      if (!(position in args)) throw new RangeError("tuple index out of range");
      return args[position];
    },
  );
