import { linkErrorTo, linkTo, unchain } from "./compose.ts";
import { appendListOption, bodyOf, clone, listOption, type SignatureData, tasksOf } from "./signature.ts";

/** Options that a chain uses up itself when it runs, in the place of passing them to its first task. */
const CHAIN_OPTIONS: ReadonlySet<string> = new Set([
  "chord",
  "group_id",
  "group_index",
  "link",
  "link_error",
  "parent_id",
  "root_id",
  "task_id",
]);

/**
 * How many tasks must end before a chord with this in its header fires: the leaves, the last step of a chain, the
 * body of a chord. Mirrors `celery/canvas.py _chord._descend`.
 */
export function chordSize(sig: SignatureData): number {
  switch (sig.subtask_type) {
    case "group":
      return tasksOf(sig).reduce((size, task) => size + chordSize(task), 0);
    case "chain":
      return tasksOf(sig).reduceRight((size, task) => size || chordSize(task), 0);
    case "chord": {
      const body = bodyOf(sig);
      return body ? chordSize(body) : 0;
    }
    default:
      return 1;
  }
}

/** True for a chain whose first step is no group: what a chord can run piece by piece. */
export function isChainLedByTask(body: SignatureData | null): boolean {
  if (body?.subtask_type !== "chain") return false;
  const first = tasksOf(body)[0];
  return first !== undefined && first.subtask_type !== "group";
}

/**
 * `chord(header, chain(a, b, c))` as `chord(header, a), b, c`: every header task carries a copy of the body, so one
 * that holds the rest of the chain would be copied as often. Mirrors `celery/canvas.py _chord._unroll_body`.
 */
export function unrollBody(chord: SignatureData): SignatureData[] {
  const copy = clone(chord);
  const body = bodyOf(copy) as SignatureData;
  const [first, ...rest] = unchain(body) as [SignatureData, ...SignatureData[]];
  const passedOn = Object.fromEntries(Object.entries(body.options).filter(([name]) => !CHAIN_OPTIONS.has(name)));
  copy.kwargs.body = { ...first, options: { ...first.options, ...passedOn } };
  return [copy, ...rest];
}

/** Splits the bodies of the chords in a chain, in place. Mirrors `celery/canvas.py _chain._unroll_chords`. */
export function unrollChords(chain: SignatureData): void {
  const pending = [...tasksOf(chain)];
  const tasks: SignatureData[] = [];
  for (let task = pending.shift(); task; task = pending.shift()) {
    if (task.subtask_type === "chain") {
      task = clone(task);
      unrollChords(task);
    }
    if (task.subtask_type === "chord" && isChainLedByTask(bodyOf(task))) pending.unshift(...unrollBody(task));
    else tasks.push(task);
  }
  chain.kwargs.tasks = tasks;
}

/**
 * Takes the body away from a pending chord's header tasks: the chord carries it already, and whoever runs it gives it
 * to them again. Mirrors `celery/canvas.py _strip_chord_header_links`.
 */
export function stripHeaderBodies(sig: SignatureData): void {
  if (sig.subtask_type === "chord") {
    const header = sig.kwargs.header as SignatureData | SignatureData[];
    if (!Array.isArray(header)) dropChord(header);
    for (const task of tasksOf(sig)) {
      if (Array.isArray(header)) dropChord(task);
      stripHeaderBodies(task);
    }
    const body = bodyOf(sig);
    if (body) stripHeaderBodies(body);
  } else if (sig.subtask_type !== null) {
    for (const task of tasksOf(sig)) stripHeaderBodies(task);
  }
}

function dropChord(sig: SignatureData): void {
  delete sig.options.chord;
  if (sig.subtask_type === "group") tasksOf(sig).forEach(dropChord);
  else if (sig.subtask_type === "chain") {
    const last = tasksOf(sig).at(-1);
    if (last) dropChord(last);
  } else if (sig.subtask_type === "chord") {
    const body = bodyOf(sig);
    if (body) dropChord(body);
  }
}

/**
 * Moves a chord's own callbacks to its body, where its success and failure show.
 * Mirrors `celery/canvas.py _chord._add_body_callbacks`.
 *
 * @returns the body, a copy when anything was added
 */
export function withChordCallbacks(body: SignatureData, options: Record<string, unknown>): SignatureData {
  const callbacks = signaturesIn(options.link);
  const errbacks = signaturesIn(options.link_error);
  if (callbacks.length === 0 && errbacks.length === 0) return body;
  const copy = clone(body);
  for (const callback of callbacks) {
    if (copy.subtask_type === "group" && tasksOf(copy).length === 0) appendListOption(copy, "link", callback);
    else linkTo(copy, clone(callback));
  }
  for (const errback of errbacks) {
    if (copy.subtask_type === "group") linkErrorToBody(copy, errback, true);
    else appendListOption(copy, "link_error", errback);
  }
  return copy;
}

function linkErrorToBody(sig: SignatureData, errback: SignatureData, runsAsGroup: boolean): void {
  if (sig.subtask_type === "group") {
    if (runsAsGroup && listOption(sig, "link_error").length > 0) appendListOption(sig, "link_error", clone(errback));
    else for (const task of tasksOf(sig)) linkErrorToBody(task, errback, false);
  } else if (sig.subtask_type === "chord") {
    const body = bodyOf(sig);
    if (body) linkErrorToBody(body, errback, true);
  } else {
    linkErrorTo(sig, clone(errback));
  }
}

function signaturesIn(value: unknown): SignatureData[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]) as SignatureData[];
}
