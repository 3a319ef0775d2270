import type { Random } from "../../test/fuzz/campaign/random.ts";

/** Who runs a task. */
export type Language = "python" | "typescript";

/** A canvas as neither language has it: what to compose, and what to expect of it. */
export type Shape = TaskShape | ChainShape | GroupShape | ChordShape;

export interface TaskShape {
  kind: "task";
  /** Its name among all tasks of its canvas. */
  tag: string;
  language: Language;
  /** What the task does: returns at once, after one retry, or fails. */
  does: "return" | "retry" | "fail";
  /** Takes nothing of what came before. */
  immutable: boolean;
}

export interface ChainShape {
  kind: "chain";
  parts: Shape[];
}

export interface GroupShape {
  kind: "group";
  parts: Shape[];
}

export interface ChordShape {
  kind: "chord";
  header: Shape[];
  body: Shape;
}

/** How deep canvases lie within each other, and of how many tasks a whole one is at most, about. */
const DEPTH = 5;
const TASKS = 24;

/**
 * A canvas of nested chains, groups and chords. Left out is what Celery 5.7 itself gets wrong, in one language too:
 *
 * - behind a chord that ends in a group, a chain, a group or a chord is run once for each member of that group;
 * - a chord's header does not count a chain that ends in a group of canvases;
 * - a group right within a group, and a chain right within a chain, are one with it.
 *
 * @param failing whether some task of it may fail
 * @param languages of its tasks
 */
export function randomCanvas(
  random: Random,
  { failing, languages }: { failing: boolean; languages: readonly Language[] },
): Shape {
  let tasks = 0;
  const task = (): TaskShape => {
    tasks += 1;
    return {
      kind: "task",
      tag: `t${tasks}`,
      language: random.pick(languages),
      does: failing && random.chance(0.1) ? "fail" : random.chance(0.1) ? "retry" : "return",
      immutable: random.chance(0.15),
    };
  };
  const several = (least: number, most: number, make: (position: number) => Shape): Shape[] =>
    Array.from({ length: least + random.below(most - least + 1) }, (_, position) => make(position));
  const atEnd = (depth: number): boolean => depth >= DEPTH || tasks > TASKS || random.chance(0.3);

  const chain = (depth: number, inGroup: boolean): Shape => {
    const parts: Shape[] = [];
    const length = 2 + random.below(3);
    while (parts.length < length) {
      const before = parts.at(-1);
      const last = parts.length + 1 === length;
      if (atEnd(depth + 1) || (before && endsInGroup(before))) parts.push(task());
      else if (random.chance(0.5)) parts.push(chord(depth + 1, inGroup));
      else parts.push(group(depth + 1, inGroup && last));
    }
    return { kind: "chain", parts };
  };
  const group = (depth: number, flat: boolean): Shape => ({
    kind: "group",
    parts: several(2, 3, () => (flat ? task() : member(depth + 1))),
  });
  const chord = (depth: number, inGroup: boolean): Shape => ({
    kind: "chord",
    header: several(1, 3, () => member(depth + 1)),
    body: atEnd(depth + 1) ? task() : random.pick([chain, chord, group])(depth + 1, inGroup),
  });
  /** A member of a group: one that other tasks follow is a chord's header. */
  const member = (depth: number): Shape => (atEnd(depth) ? task() : random.pick([chain, chord])(depth, true));

  return chain(0, false);
}

/** Whether what comes next gets a list of results, and has become the body of a chord for it. */
function endsInGroup(shape: Shape): boolean {
  if (shape.kind === "task") return false;
  const last = shape.kind === "chord" ? shape.body : shape.parts.at(-1);
  return shape.kind === "group" || (last !== undefined && endsInGroup(last));
}

/** All tasks of a canvas. */
export function tasksOf(shape: Shape): TaskShape[] {
  if (shape.kind === "task") return [shape];
  return (shape.kind === "chord" ? [...shape.header, shape.body] : shape.parts).flatMap(tasksOf);
}
