import {
  appendListOption,
  bodyOf,
  chainOf,
  chordOf,
  clone,
  listOption,
  readSignature,
  type SignatureData,
  tasksOf,
} from "./signature.ts";

/** A group of one is that one task. Mirrors `celery/canvas.py maybe_unroll_group`. */
export function unrollGroup(sig: SignatureData): SignatureData {
  if (sig.subtask_type !== "group") return sig;
  const [only, ...others] = tasksOf(sig);
  return only && others.length === 0 ? only : sig;
}

export function isEmptyGroup(sig: SignatureData): boolean {
  return sig.subtask_type === "group" && tasksOf(sig).length === 0;
}

/**
 * What `chain(a, b, c)` makes: nested chains are spliced in, a group followed by a task becomes a chord, what follows
 * a chord becomes part of its body, groups of one and empty groups dissolve. Mirrors `celery/canvas.py _fold_chain`.
 *
 * @returns a chain, or a lone group or chord where the rules leave just that
 */
export function composeChain(tasks: readonly SignatureData[]): SignatureData {
  let steps: SignatureData[] = [];
  for (const [position, task] of tasks.entries()) {
    const result = addStep(steps, task, position !== tasks.length - 1);
    if (Array.isArray(result)) steps = result;
    else return tasks.slice(position + 1).reduce(pipe, result);
  }
  return chainOf(steps.map((step, position) => (position < steps.length - 1 ? clone(step) : step)));
}

/** What `a | b` makes. Mirrors the `__or__` of each type in `celery/canvas.py`. */
export function pipe(left: SignatureData, right: SignatureData): SignatureData {
  switch (left.subtask_type) {
    case "chain":
      return pipeChain(left, right);
    case "group":
      return pipeGroup(left, right);
    case "chord":
      return pipeChord(left, right);
    default:
      return pipeTask(left, right);
  }
}

function pipeTask(left: SignatureData, right: SignatureData): SignatureData {
  if (right.subtask_type === "chain") return chainOf([left, ...unchain(right)]);
  return chainOf([left, unrollGroup(right)]);
}

function pipeGroup(left: SignatureData, right: SignatureData): SignatureData {
  return isEmptyGroup(right) ? left : chordOf(left, right);
}

function pipeChord(left: SignatureData, right: SignatureData): SignatureData {
  const other = unrollGroup(right);
  const joins = other.subtask_type !== "group" && right.subtask_type !== "chain";
  if (!joins) return pipeTask(left, right);
  return withBody(clone(left), other);
}

function pipeChain(left: SignatureData, right: SignatureData): SignatureData {
  if (isEmptyGroup(right)) return left;
  const other = unrollGroup(right);
  if (other.subtask_type === "chain") return unchain(other).reduce(pipe, left);
  const steps = unchain(left);
  if (steps.length === 0 && other.subtask_type === "group") return other;
  const result = addStep(steps, other, false);
  return Array.isArray(result) ? chainOf(result) : result;
}

/** The steps with one more, or what they have become when that is no chain any more. */
function addStep(steps: SignatureData[], next: SignatureData, copy: boolean): SignatureData[] | SignatureData {
  if (isEmptyGroup(next)) return steps;
  const other = unrollGroup(next);
  if (other.subtask_type === "chain") return addSteps(steps, unchain(other), copy);
  const last = steps.at(-1);
  const own = copy ? clone(other) : other;
  if (other.subtask_type === "group") {
    if (!last) return other;
    if (last.subtask_type === "chord") return [...steps.slice(0, -1), withBody(last, other)];
    return [...steps, own];
  }
  if (last?.subtask_type === "group") return joinChords([...steps.slice(0, -1), chordOf(last, own)]);
  if (last?.subtask_type === "chord" && other.subtask_type !== "chord") {
    return [...steps.slice(0, -1), withBody(last, other)];
  }
  return [...steps, own];
}

function addSteps(steps: SignatureData[], more: SignatureData[], copy: boolean): SignatureData[] | SignatureData {
  let result = steps;
  for (const [position, task] of more.entries()) {
    const next = addStep(result, task, copy || position !== more.length - 1);
    if (!Array.isArray(next)) return more.slice(position + 1).reduce(pipe, next);
    result = next;
  }
  return result;
}

/** A chord right before the last one runs that one as part of its body. */
function joinChords(steps: SignatureData[]): SignatureData[] {
  const [first, second] = steps.slice(-2);
  if (!second || first?.subtask_type !== "chord") return steps;
  return [...steps.slice(0, -2), withBody(first, second)];
}

/** The chord with something more after its body. */
function withBody(chord: SignatureData, next: SignatureData): SignatureData {
  const body = bodyOf(chord);
  chord.kwargs.body = body ? pipe(body, next) : next;
  return chord;
}

/**
 * Copies of a chain's tasks: its callbacks on the last one, its errbacks on each.
 * Mirrors `celery/canvas.py unchain_tasks`.
 */
export function unchain(chain: SignatureData): SignatureData[] {
  const tasks = tasksOf(chain).map(clone);
  const last = tasks.at(-1);
  for (const callback of listOption(chain, "link")) if (last) linkTo(last, callback);
  for (const errback of listOption(chain, "link_error")) for (const task of tasks) linkErrorTo(task, errback);
  return tasks;
}

/**
 * The rest of a chain as one callback, each task the callback of the one before: the only way in protocol 1.
 *
 * @param chain as protocol 2 has it, the next task last
 * @returns null for none
 * @throws InvalidTaskError when one is no signature
 */
export function chainAsCallback(chain: readonly unknown[]): SignatureData | null {
  let callback: SignatureData | null = null;
  for (const task of chain) {
    const sig = clone(readSignature(task));
    if (callback) linkTo(sig, callback);
    callback = sig;
  }
  return callback;
}

/** Adds a callback where a success of the whole shows: a chord's body, a group's first task, the signature itself. */
export function linkTo(sig: SignatureData, callback: SignatureData): void {
  if (sig.subtask_type === "chord") {
    const body = bodyOf(sig);
    if (body) linkTo(body, callback);
  } else if (sig.subtask_type === "group") {
    const first = tasksOf(sig)[0];
    if (first) linkTo(first, { ...clone(callback), immutable: true });
  } else {
    appendListOption(sig, "link", callback);
  }
}

/**
 * Adds an errback where a failure shows: a chord's body (and its header's nested chords), each task of a group, the
 * signature itself.
 *
 * @param onHeader `taskAllowErrorCbOnChordHeader`
 */
export function linkErrorTo(sig: SignatureData, errback: SignatureData, onHeader = false): void {
  if (sig.subtask_type === "group") {
    for (const task of tasksOf(sig)) linkErrorTo(task, clone(errback), onHeader);
  } else if (sig.subtask_type === "chord") {
    for (const task of tasksOf(sig)) {
      if (onHeader) linkErrorTo(task, { ...clone(errback), immutable: true }, onHeader);
      if (task.subtask_type === "chord") linkErrorTo(task, errback, onHeader);
    }
    const body = bodyOf(sig);
    if (body) linkErrorTo(body, errback, onHeader);
  } else {
    appendListOption(sig, "link_error", errback);
  }
}
