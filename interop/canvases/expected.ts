import type { Shape } from "./random-canvas.ts";

/** What a task of the canvas returns: who it is, and what it was given. Lists are the results of groups. */
export type Value = string | Value[];

/** What a canvas comes to. */
export interface Expected {
  /** Undefined when it fails. */
  value: Value | undefined;
  /** The tags of all tasks that run to their end, or fail, each once. */
  run: string[];
}

/** Works a canvas out, as plainly as can be. @param given what came before it; nothing at its beginning */
export function expected(shape: Shape, given?: Value): Expected {
  switch (shape.kind) {
    case "task": {
      const args = given === undefined || shape.immutable ? "" : shown(given);
      return { value: shape.does === "fail" ? undefined : `${shape.tag}(${args})`, run: [shape.tag] };
    }
    case "chain":
      return shape.parts.reduce<Expected>(
        (before, part, position) => {
          if (position > 0 && before.value === undefined) return before;
          const { value, run } = expected(part, before.value);
          return { value, run: [...before.run, ...run] };
        },
        { value: given, run: [] },
      );
    case "group":
      return together(shape.parts, given);
    case "chord": {
      const header = together(shape.header, given);
      if (header.value === undefined) return header;
      const { value, run } = expected(shape.body, header.value);
      return { value, run: [...header.run, ...run] };
    }
  }
}

function together(parts: readonly Shape[], given: Value | undefined): Expected {
  const all = parts.map((part) => expected(part, given));
  const values = all.map(({ value }) => value);
  return {
    value: values.some((value) => value === undefined) ? undefined : (values as Value[]),
    run: all.flatMap(({ run }) => run),
  };
}

/** A value as a task of the canvas writes down what it was given. */
export function shown(value: Value): string {
  return Array.isArray(value) ? `[${value.map(shown).join(",")}]` : value;
}
