import { InvalidTaskError } from "../errors.ts";
import { isMapping, mappingOf } from "../message/headers.ts";
import { repr } from "../python/repr.ts";

/** What a signature is made of when it is more than one task. */
export type SubtaskType = "chain" | "group" | "chord";

/**
 * A task call as data, in the form and the key order of the wire. Mirrors `celery/canvas.py Signature`.
 *
 * A chain and a group hold their tasks in `kwargs.tasks`; a chord its header in `kwargs.header` (a list, or a group
 * once it is frozen) and its body in `kwargs.body`.
 */
export interface SignatureData {
  task: string;
  args: unknown[];
  kwargs: Record<string, unknown>;
  /** Execution options under the wire's names: `task_id`, `link`, `group_id`, `queue`… */
  options: Record<string, unknown>;
  subtask_type: SubtaskType | null;
  /** True for one that takes no further arguments: `si()`. */
  immutable: boolean;
  /** How many parts the chord has whose body this is: Celery 5.0 keeps it nowhere else. */
  chord_size?: number;
}

/** Options that a signature keeps whatever it is applied with: to change them would stall what waits for it. */
const IMMUTABLE_OPTIONS: ReadonlySet<string> = new Set(["group_id", "stamped_headers"]);

export function signature(
  task: string,
  args: readonly unknown[] = [],
  kwargs: Record<string, unknown> = {},
  options: Record<string, unknown> = {},
  immutable = false,
): SignatureData {
  return { task, args: [...args], kwargs, options, subtask_type: null, immutable };
}

/** A chain as it stands, without the rules by which `|` joins; see `compose.ts`. */
export function chainOf(tasks: SignatureData[], options: Record<string, unknown> = {}): SignatureData {
  return { ...signature("celery.chain", [], { tasks }, options), subtask_type: "chain" };
}

export function groupOf(tasks: SignatureData[], options: Record<string, unknown> = {}): SignatureData {
  return { ...signature("celery.group", [], { tasks }, options), subtask_type: "group" };
}

/** @param header the tasks, or a group or chain of them */
export function chordOf(
  header: SignatureData[] | SignatureData,
  body: SignatureData | null,
  options: Record<string, unknown> = {},
): SignatureData {
  const kwargs = { kwargs: {}, header: headerTasks(header), body };
  return { ...signature("celery.chord", [], kwargs, options), subtask_type: "chord" };
}

function headerTasks(header: SignatureData[] | SignatureData): SignatureData[] {
  if (Array.isArray(header)) return header;
  return header.subtask_type === "group" || header.subtask_type === "chain" ? tasksOf(header) : [header];
}

/** The tasks of a chain or a group, or of a chord's header. */
export function tasksOf(sig: SignatureData): SignatureData[] {
  const tasks = sig.subtask_type === "chord" ? sig.kwargs.header : sig.kwargs.tasks;
  return isMapping(tasks) ? tasksOf(tasks as unknown as SignatureData) : (tasks as SignatureData[]);
}

/** The body of a chord. */
export function bodyOf(sig: SignatureData): SignatureData | null {
  return (sig.kwargs.body as SignatureData | null | undefined) ?? null;
}

/** A list option, be it absent, one value or several. */
export function listOption(sig: SignatureData, name: "link" | "link_error"): SignatureData[] {
  const value = sig.options[name];
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]) as SignatureData[];
}

/** Adds a callback or errback, unless an equal one is there. */
export function appendListOption(sig: SignatureData, name: "link" | "link_error", value: SignatureData): void {
  const list = listOption(sig, name);
  const shown = repr(value);
  sig.options[name] = list.some((item) => repr(item) === shown) ? list : [...list, value];
}

/** The task id of a frozen signature. */
export function taskIdOf(sig: SignatureData): string | null {
  return (sig.options.task_id as string | null | undefined) ?? null;
}

/**
 * A copy that shares nothing with the original but the arguments' values.
 * Mirrors `Signature.clone`.
 */
export function clone(sig: SignatureData): SignatureData {
  return {
    task: sig.task,
    args: [...sig.args],
    kwargs: cloneKwargs(sig),
    options: copyData(sig.options) as Record<string, unknown>,
    subtask_type: sig.subtask_type,
    immutable: sig.immutable,
    ...(sig.chord_size !== undefined && { chord_size: sig.chord_size }),
  };
}

function cloneKwargs(sig: SignatureData): Record<string, unknown> {
  switch (sig.subtask_type) {
    case "chain":
    case "group":
      return { ...sig.kwargs, tasks: tasksOf(sig).map(clone) };
    case "chord": {
      const header = sig.kwargs.header;
      const copy = isMapping(header)
        ? clone(header as unknown as SignatureData)
        : (header as SignatureData[]).map(clone);
      const body = bodyOf(sig);
      return { ...sig.kwargs, header: copy, body: body && clone(body) };
    }
    default:
      return { ...sig.kwargs };
  }
}

function copyData(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyData);
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyData(item)]));
}

/** What a signature is called with once more arguments and options came: partial arguments go in front. */
export interface Call {
  args: unknown[];
  kwargs: Record<string, unknown>;
  options: Record<string, unknown>;
}

/** Mirrors `Signature._merge`: options given now win, but for those that must not change. */
export function merge(
  sig: SignatureData,
  args: readonly unknown[] = [],
  kwargs: Record<string, unknown> = {},
  options: Record<string, unknown> = {},
): Call {
  const stamped = Array.isArray(sig.options.stamped_headers) ? sig.options.stamped_headers : [];
  const kept = (name: string): boolean =>
    (IMMUTABLE_OPTIONS.has(name) || stamped.includes(name)) && Object.hasOwn(sig.options, name);
  const given = Object.entries(options).filter(([name]) => !kept(name));
  const merged = { ...sig.options, ...Object.fromEntries(given) };
  if (sig.immutable) return { args: sig.args, kwargs: sig.kwargs, options: merged };
  return { args: [...args, ...sig.args], kwargs: { ...sig.kwargs, ...kwargs }, options: merged };
}

/**
 * A signature that came off the wire, checked down to its last member.
 * @throws InvalidTaskError when it, or a signature within it, is not one
 */
export function readSignature(value: unknown): SignatureData {
  const data = mappingOf(value);
  if (typeof data?.task !== "string") throw new InvalidTaskError("a signature must be a mapping with a task name");
  const sig: SignatureData = {
    task: data.task,
    args: Array.isArray(data.args) ? data.args : [],
    kwargs: mappingOf(data.kwargs) ?? {},
    options: readOptions(mappingOf(data.options) ?? {}),
    subtask_type: readType(data.subtask_type),
    immutable: data.immutable === true,
    ...(typeof data.chord_size === "number" && { chord_size: data.chord_size }),
  };
  return sig.subtask_type === null ? sig : { ...sig, kwargs: readMembers(sig) };
}

function readType(type: unknown): SubtaskType | null {
  return type === "chain" || type === "group" || type === "chord" ? type : null;
}

function readOptions(options: Record<string, unknown>): Record<string, unknown> {
  const read = { ...options };
  for (const name of ["link", "link_error"]) {
    const value = read[name];
    if (value !== undefined && value !== null) {
      read[name] = Array.isArray(value) ? value.map(readSignature) : readSignature(value);
    }
  }
  if (mappingOf(read.chord)) read.chord = readSignature(read.chord);
  if (Array.isArray(read.chain)) read.chain = read.chain.map(readSignature);
  return read;
}

function readMembers({ kwargs, subtask_type }: SignatureData): Record<string, unknown> {
  if (subtask_type !== "chord") return { ...kwargs, tasks: readList(kwargs.tasks) };
  const header = mappingOf(kwargs.header) ? readSignature(kwargs.header) : readList(kwargs.header);
  return { ...kwargs, header, body: kwargs.body ? readSignature(kwargs.body) : null };
}

function readList(value: unknown): SignatureData[] {
  if (!Array.isArray(value)) throw new InvalidTaskError("the tasks of a chain, group or chord must be a list");
  return value.map(readSignature);
}
