import type { ResultNode } from "../result/result-tuple.ts";
import { isChainLedByTask, stripHeaderBodies, unrollBody } from "./chord.ts";
import { isEmptyGroup, linkErrorTo, linkTo, unrollGroup } from "./compose.ts";
import { appendListOption, bodyOf, chordOf, clone, groupOf, type SignatureData, tasksOf } from "./signature.ts";

/** Where ids come from, and where results are sent. */
export interface FreezeContext {
  newId(): string;
  /** The reply queue, `reply_to` of every message. */
  replyTo: string;
  /** True to make each task of a chain the callback of the one before: protocol 1. */
  useLink?: boolean;
}

/** What the one who freezes knows of the whole. */
export interface FreezeOptions {
  taskId?: string | null | undefined;
  groupId?: string | null | undefined;
  groupIndex?: number | null | undefined;
  chord?: SignatureData | null | undefined;
  rootId?: string | null | undefined;
  parentId?: string | null | undefined;
}

/**
 * Gives a signature its final ids, in place, and says what its result will be. To freeze again keeps the ids.
 * Mirrors the `freeze` of each type in `celery/canvas.py`.
 */
export function freeze(sig: SignatureData, options: FreezeOptions, context: FreezeContext): ResultNode {
  switch (sig.subtask_type) {
    case "chain":
      return freezeChain(sig, options, context);
    case "group":
      return freezeGroup(sig, options, context);
    case "chord":
      return freezeChord(sig, options, context);
    default:
      return freezeTask(sig, options, context);
  }
}

function freezeTask(sig: SignatureData, options: FreezeOptions, context: FreezeContext): ResultNode {
  const own = sig.options;
  own.task_id ??= options.taskId ?? context.newId();
  if (options.rootId) own.root_id = options.rootId;
  if (options.parentId) own.parent_id = options.parentId;
  if (!("reply_to" in own)) own.reply_to = context.replyTo;
  if (options.groupId && !("group_id" in own)) own.group_id = options.groupId;
  if (options.chord) own.chord = options.chord;
  if (options.groupIndex !== undefined && options.groupIndex !== null) own.group_index = options.groupIndex;
  return { id: own.task_id as string, parent: null, results: null };
}

function freezeChain(sig: SignatureData, options: FreezeOptions, context: FreezeContext): ResultNode {
  const steps = prepareSteps({ ...options, tasks: tasksOf(sig), args: sig.args, kwargs: {}, copy: false }, context);
  const [last] = steps.results;
  if (!last) throw new TypeError("an empty chain has no result");
  sig.options.task_id = last.id;
  return last;
}

/** Members of groups within the group become the group's own. Mirrors `celery/canvas.py group._freeze_unroll`. */
export function freezeGroup(sig: SignatureData, options: FreezeOptions, context: FreezeContext): ResultNode {
  const own = sig.options;
  own.task_id ??= context.newId();
  if (options.groupId) own.group_id = options.groupId;
  if (options.chord) own.chord = options.chord;
  if (options.groupIndex !== undefined && options.groupIndex !== null) own.group_index = options.groupIndex;
  own.root_id = "root_id" in own ? own.root_id : (options.rootId ?? null);
  own.parent_id = "parent_id" in own ? own.parent_id : (options.parentId ?? null);
  const rootId = own.root_id as string | null;
  const parentId = own.parent_id as string | null;
  const tasks: SignatureData[] = [];
  const results: ResultNode[] = [];
  const pending = [...tasksOf(sig)];
  for (let next = pending.shift(); next; next = pending.shift()) {
    const task = clone(next);
    if (task.subtask_type === "group") {
      pending.unshift(...tasksOf(task).toReversed());
    } else if (task.subtask_type !== "chain" || tasksOf(task).length > 0) {
      const { groupId, chord } = options;
      results.push(freeze(task, { groupId, chord, rootId, parentId, groupIndex: tasks.length }, context));
      tasks.push(task);
    }
  }
  sig.kwargs.tasks = tasks;
  return { id: own.task_id as string, parent: null, results };
}

function freezeChord(sig: SignatureData, options: FreezeOptions, context: FreezeContext): ResultNode {
  if (Array.isArray(sig.kwargs.header)) sig.kwargs.header = groupOf(sig.kwargs.header as SignatureData[]);
  const header = sig.kwargs.header as SignatureData;
  const body = bodyOf(sig);
  const { rootId, parentId, taskId, chord, groupId, groupIndex } = options;
  const headerResult = freezeGroup(header, { parentId, rootId, chord: body }, context);
  sig.options.task_id = header.options.task_id;
  if (!body) return headerResult;
  const bodyResult = freeze(body, { taskId, rootId, chord, groupId, groupIndex }, context);
  first(bodyResult).parent = headerResult;
  return bodyResult;
}

/** The result at the beginning of those that this one followed. */
function first(result: ResultNode): ResultNode {
  let node = result;
  while (node.parent) node = node.parent;
  return node;
}

/** What a chain is made ready with. */
export interface PrepareOptions extends FreezeOptions {
  tasks: readonly SignatureData[];
  /** Arguments for the first task. */
  args: readonly unknown[];
  kwargs: Record<string, unknown>;
  linkError?: readonly SignatureData[];
  /** True to run the chain: tasks are copied and chords split. False to freeze it as it is written. */
  copy: boolean;
}

/** The tasks of a chain, ready to be sent. */
export interface Steps {
  /** In reverse, as the `chain` field of a message has them: the first to run is the last element. */
  tasks: SignatureData[];
  /** In the same order; the first is the result of the chain. */
  results: ResultNode[];
}

/**
 * Makes a chain ready: nested chains are spliced in, a group with a task after it becomes a chord, every task gets
 * its ids, every result its parent. Mirrors `celery/canvas.py prepare_steps`.
 */
export function prepareSteps(options: PrepareOptions, context: FreezeContext): Steps {
  const { copy, rootId } = options;
  const steps = normaliseHead([...options.tasks], copy);
  const tasks: SignatureData[] = [];
  const results: ResultNode[] = [];
  let following: ResultNode | null = null;
  let isLast = true;
  for (let next = steps.pop(); next; next = steps.pop()) {
    let task = unrollGroup(next);
    if (isEmptyGroup(task) && (steps.length > 0 || tasks.length > 0)) continue;
    if (copy && task.subtask_type === "chord" && isChainLedByTask(bodyOf(task))) {
      steps.push(...unrollBody(task));
      continue;
    }
    if (copy) task = clone(task);
    if (steps.length === 0) giveArguments(task, options);
    if (task.subtask_type === "chain") {
      steps.push(...tasksOf(task));
      continue;
    }
    const body = tasks.at(-1);
    if (task.subtask_type === "group" && body) {
      tasks.pop();
      const bodyResult = results.pop() as ResultNode;
      const bodyId = bodyResult.results ? {} : { task_id: bodyResult.id };
      task = chordOf(task, body, { ...bodyId, root_id: rootId ?? null });
      following = unlinkFrom(bodyResult, results.at(-1) ?? null) ?? following;
    }
    const { taskId, groupId, chord, groupIndex } = options;
    const result: ResultNode = isLast
      ? freeze(task, { taskId, rootId, groupId, chord, groupIndex }, context)
      : freeze(task, { rootId }, context);
    isLast = false;
    const after = tasks.at(-1);
    if (context.useLink && after) linkTo(task, after);
    if (tasks.length > 0 && following && !following.parent) following.parent = result;
    for (const errback of options.linkError ?? []) linkStepError(task, errback);
    tasks.push(task);
    results.push(result);
    following = task.subtask_type === "chord" ? first(result) : result;
  }
  if (copy) tasks.forEach(stripHeaderBodies);
  return { tasks, results };
}

/**
 * The first step is the one that gets the arguments: a chain there is spliced, and an empty group, which would swallow
 * them, goes, unless nothing else is left.
 */
function normaliseHead(steps: SignatureData[], copy: boolean): SignatureData[] {
  let emptied: SignatureData | null = null;
  for (;;) {
    const head = steps[0] && unrollGroup(steps[0]);
    if (!head) return emptied ? [emptied] : steps;
    if (head.subtask_type === "chain") {
      steps.splice(0, 1, ...tasksOf(copy ? clone(head) : head));
    } else if (steps.length > 1 && isEmptyGroup(head)) {
      emptied = head;
      steps.shift();
    } else {
      steps[0] = head;
      return steps;
    }
  }
}

function giveArguments(task: SignatureData, { args, kwargs, copy }: PrepareOptions): void {
  if (copy && task.immutable) return;
  task.args = [...args, ...task.args];
  if (copy) task.kwargs = { ...task.kwargs, ...kwargs };
}

/**
 * A group that became a chord takes the body's place among the results: what followed the body's result now follows
 * the chord's.
 */
function unlinkFrom(bodyResult: ResultNode, later: ResultNode | null): ResultNode | null {
  let node = later;
  while (node && node.parent !== bodyResult) node = node.parent;
  if (node) node.parent = null;
  return node;
}

function linkStepError(task: SignatureData, errback: SignatureData): void {
  if (task.subtask_type === "chord") {
    linkErrorTo(task, errback);
    const body = bodyOf(task);
    if (body) linkErrorTo(body, errback);
  } else if (task.subtask_type === null || task.subtask_type === "chain") {
    appendListOption(task, "link_error", errback);
  } else {
    linkErrorTo(task, errback);
  }
}
