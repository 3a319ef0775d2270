import { randomUUID } from "node:crypto";
import { chordSize, stripHeaderBodies, unrollChords, withChordCallbacks } from "../../protocol/canvas/chord.ts";
import { composeChain } from "../../protocol/canvas/compose.ts";
import { type FreezeContext, freeze, freezeGroup, prepareSteps } from "../../protocol/canvas/freeze.ts";
import {
  bodyOf,
  chordOf,
  clone,
  groupOf,
  merge,
  type SignatureData,
  signature,
  tasksOf,
} from "../../protocol/canvas/signature.ts";
import { type Compatibility, writes } from "../../protocol/compatibility.ts";
import { repr } from "../../protocol/python/repr.ts";
import { asTuple, type ResultNode } from "../../protocol/result/result-tuple.ts";
import type { ResultBackend } from "../backends/backend.ts";
import { CHORD_UNLOCK, type UnlockContext, type UnlockOptions, unlockCall } from "./chord-unlock.ts";
import { EagerCanvas, type EagerRunner } from "./eager-canvas.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { SendTask } from "./producer.ts";
import { AsyncResult, type GroupResult, type ResultContext, resultFromNode } from "./result.ts";
import { type Canvas, Signature } from "./signature.ts";
import type { RunningTask } from "./task-request.ts";
import type { Untyped } from "./untyped.ts";

/** What sending signatures needs of the application. */
export interface CanvasContext extends UnlockContext {
  readonly results: ResultContext;
  /** Where results go: `reply_to`. */
  readonly replyTo: string;
  readonly errbacksOnChordHeader: boolean;
  /** Protocol 1: chains are made of callbacks. */
  readonly useLink: boolean;
  /** How chords are written. */
  readonly compatibility: Compatibility;
  /** Sends one task, with the options and the checks of a registered one. */
  readonly sendTask: SendTask;
  backend(): Promise<ResultBackend>;
  running(): RunningTask | undefined;
  /** `taskAlwaysEager`. */
  readonly alwaysEager: boolean;
  /** Runs tasks where they are called. */
  readonly eager: EagerRunner;
}

type Options = Record<string, unknown>;

/** Sends chains, groups and chords as Celery's `apply_async` does. Mirrors `celery/canvas.py`. */
export class CanvasSender implements Canvas {
  readonly #context: CanvasContext;
  readonly #freezing: FreezeContext;
  readonly #eager: EagerCanvas;

  constructor(context: CanvasContext) {
    this.#context = context;
    this.#eager = new EagerCanvas(context.results, context.eager);
    this.#freezing = { newId: () => randomUUID(), replyTo: context.replyTo, useLink: context.useLink };
  }

  get errbacksOnChordHeader(): boolean {
    return this.#context.errbacksOnChordHeader;
  }

  /** @param data is changed; whoever wants to keep it gives a clone */
  apply(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    if (this.#context.alwaysEager && data.subtask_type) return this.applyEagerly(data, args, kwargs, options);
    switch (data.subtask_type) {
      case "chain":
        return this.#applyChain(data, args, kwargs, options);
      case "group":
        return this.#applyGroup(data, args, kwargs, options);
      case "chord":
        return this.#applyChord(data, args, kwargs, options);
      default:
        return this.#applyTask(data, args, kwargs, options);
    }
  }

  applyEagerly(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    return this.#eager.apply(data, args, kwargs, options);
  }

  async send(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    const { alwaysEager, eager } = this.#context;
    if (alwaysEager && eager.serves(name)) return eager.call(name, args, kwargs, options);
    return this.sendMessage(name, args, kwargs, options);
  }

  /** Sends one task, whether or not tasks run where they are called. */
  async sendMessage(name: string, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    const sent = await this.#context.sendTask(name, args, kwargs, options);
    if (options.add_to_parent !== false) this.addToParent({ id: sent.id, parent: null, results: null });
    return new AsyncResult(this.#context.results, sent.id, null, sent.ignored);
  }

  #applyTask(data: SignatureData, args: readonly unknown[], kwargs: Options, options: Options): Promise<AsyncResult> {
    if (data.task === "celery.chunks") return this.#applyGroup(groupOfChunks(data), args, kwargs, options);
    const call = merge(data, args, kwargs, options);
    return this.send(data.task, call.args, call.kwargs, call.options);
  }

  async #applyChain(
    data: SignatureData,
    args: readonly unknown[],
    kwargs: Options,
    options: Options,
  ): Promise<AsyncResult> {
    const all = { ...data.options, ...options };
    const { group_id, chord, task_id, link, link_error, root_id, parent_id: _, group_index, ...passedOn } = all;
    const { tasks, results } = prepareSteps(
      {
        tasks: tasksOf(data),
        args: data.immutable ? data.args : [...args, ...data.args],
        kwargs,
        taskId: task_id as string | undefined,
        rootId: root_id as string | undefined,
        groupId: group_id as string | undefined,
        groupIndex: group_index as number | undefined,
        chord: chord as SignatureData | undefined,
        linkError: signatures(link_error),
        copy: true,
      },
      this.#freezing,
    );
    const [last] = tasks;
    const first = tasks.pop();
    const [result] = results;
    if (!last || !first || !result) throw new ImproperlyConfigured("an empty chain cannot be sent");
    if (link) last.options.link = [...signatures(last.options.link), ...signatures(link)];
    const rest = this.#context.useLink ? [] : tasks;
    const chain = passedOn.chain ? [...(passedOn.chain as SignatureData[]), ...rest] : rest;
    const sent = await this.apply(first, [], {}, { ...passedOn, chain });
    return tasks.length > 0 ? resultFromNode(this.#context.results, result) : sent;
  }

  async #applyGroup(
    data: SignatureData,
    args: readonly unknown[],
    kwargs: Options,
    options: Options,
  ): Promise<AsyncResult> {
    if (options.link) throw new TypeError("Cannot add link to group: use a chord");
    if (options.link_error) throw new TypeError("Cannot add link to group: do that on individual tasks");
    if (tasksOf(data).length === 0) {
      return resultFromNode(this.#context.results, freezeGroup(data, {}, this.#freezing));
    }
    const { add_to_parent: addToParent, ...given } = options;
    const { task_id, ...passedOn } = merge(data, [], {}, given).options;
    const groupId = (task_id as string | undefined) ?? randomUUID();
    const members = this.#prepareGroup(tasksOf(data), groupId, passedOn.root_id as string | null);
    await this.#sendMembers(members, groupId, args, kwargs, { ...passedOn, group_id: groupId });
    const nodes = members.map(({ result }) => result);
    const only = nodes.length === 1 && nodes[0]?.results ? nodes[0] : undefined;
    const node = only ?? { id: groupId, parent: null, results: nodes };
    if (addToParent !== false) this.addToParent(node);
    return resultFromNode(this.#context.results, node);
  }

  /** The group's tasks with their ids, groups within it unrolled. Mirrors `group._prepared`. */
  #prepareGroup(
    tasks: readonly SignatureData[],
    groupId: string,
    rootId: string | null,
  ): { task: SignatureData; result: ResultNode }[] {
    return tasks.flatMap((original, groupIndex) => {
      const task = clone(original);
      if (task.subtask_type === "group") return this.#prepareGroup(tasksOf(task), groupId, rootId);
      if (task.subtask_type === "chain" && tasksOf(task).length === 0) return [];
      return [{ task, result: freeze(task, { groupId, rootId, groupIndex }, this.#freezing) }];
    });
  }

  /** All at once, but the last of a chord's header only when the chord's size is known to the backend. */
  async #sendMembers(
    members: readonly { task: SignatureData }[],
    groupId: string,
    args: readonly unknown[],
    kwargs: Options,
    options: Options,
  ): Promise<void> {
    const { chord: given, group_index: _, ...passedOn } = options;
    const send = ({ task }: { task: SignatureData }): Promise<AsyncResult> => {
      const chord = given ?? task.options.chord;
      return this.apply(task, args, kwargs, { ...passedOn, add_to_parent: false, ...(chord ? { chord } : {}) });
    };
    const last = members.at(-1);
    await Promise.all(members.slice(0, -1).map(send));
    if (!last) return;
    if (given ?? last.task.options.chord) {
      const { chords } = await this.#context.backend();
      await chords?.setSize(
        groupId,
        members.reduce((size, { task }) => size + chordSize(task), 0),
      );
    }
    await send(last);
  }

  async #applyChord(
    data: SignatureData,
    args: readonly unknown[],
    kwargs: Options,
    options: Options,
  ): Promise<AsyncResult> {
    const { body: givenBody, ...rest } = kwargs;
    const { countdown, eta, link, link_error, task_id, interval, max_retries, ...given } = options;
    const ownBody = (givenBody ?? bodyOf(data)) as SignatureData | null;
    if (!ownBody) throw new ImproperlyConfigured("a chord cannot be sent without a body");
    const all: Options = {
      ...data.options,
      ...given,
      ...(link ? { link } : {}),
      ...(link_error ? { link_error } : {}),
    };
    const { link: callbacks, link_error: errbacks, task_id: ownTaskId, chain, chord, ...passedOn } = all;
    const delay = { ...pick(data.options, ["countdown", "eta"]), ...pick({ countdown, eta }, ["countdown", "eta"]) };
    for (const name of ["countdown", "eta"]) delete passedOn[name];

    const copy = clone(ownBody);
    copy.options = merge(copy, [], {}, without(given, "parent_id")).options;
    const body = withChordCallbacks(copy, { link: callbacks, link_error: errbacks });
    Object.assign(body.options, without(passedOn, "parent_id"), chain ? { chain } : {}, chord ? { chord } : {});
    // A chain of callbacks needs the whole body in its header, for a failure to reach its end.
    if (body.subtask_type === "chain" && !this.#context.useLink) unrollChords(body);

    const header = this.#header(data);
    const groupId = header.options.task_id as string;
    const rootId = body.options.root_id as string | null;
    const bodyId = (task_id ?? ownTaskId ?? randomUUID()) as string;
    // Before 5.6 the body knew nothing of its header's group.
    const bodyGroup = writes(this.#context.compatibility, "chordBodyGroupId") ? { groupId } : {};
    const bodyResult = freeze(body, { taskId: bodyId, ...bodyGroup, rootId }, this.#freezing);
    stripHeaderBodies(body);
    if (!writes(this.#context.compatibility, "chordSizeKey")) body.chord_size = chordSize(header);
    const headerResult = freezeGroup(header, { groupId, chord: body, rootId }, this.#freezing);
    if (tasksOf(header).length > 0) {
      await this.#startChord(headerResult, chordSize(header), body, { interval, max_retries });
      const headerKwargs = { ...(data.kwargs.kwargs as Options | undefined), ...rest };
      const headerArgs = data.immutable ? data.args : [...args, ...data.args];
      await this.apply(header, headerArgs, headerKwargs, { ...passedOn, ...delay, task_id: groupId });
    } else {
      await this.apply(clone(body), [[]], {}, {});
    }
    bodyResult.parent = headerResult;
    return resultFromNode(this.#context.results, bodyResult);
  }

  #header(data: SignatureData): SignatureData {
    const { header } = data.kwargs;
    const group = Array.isArray(header)
      ? groupOf(header as SignatureData[], { task_id: data.options.task_id ?? randomUUID() })
      : clone(header as SignatureData);
    group.options.task_id ??= randomUUID();
    return group;
  }

  /** Has the backend join the chord, or a task that looks for the results. Mirrors `Backend.apply_chord`. */
  async #startChord(header: ResultNode, size: number, body: SignatureData, again: UnlockOptions): Promise<void> {
    const backend = await this.#context.backend();
    backend.ensureChordsAllowed?.();
    if (backend.chords) {
      await backend.chords.saveHeader(header, size);
      return;
    }
    const { args, kwargs, options } = unlockCall(header, body, again, this.#context);
    await this.send(CHORD_UNLOCK, args, kwargs, options);
  }

  addToParent(node: ResultNode): void {
    const running = this.#context.running();
    if (running?.trail) running.children.push(asTuple(node));
  }
}

/** Sent on its own, the task `celery.chunks` is the group that it would send. Mirrors `celery/canvas.py chunks`. */
function groupOfChunks({ kwargs, options }: SignatureData): SignatureData {
  const { task, it, n } = kwargs as { task: SignatureData; it: unknown[]; n: number };
  const chunks = Array.from({ length: Math.ceil(it.length / n) }, (_, index) => it.slice(index * n, (index + 1) * n));
  const members = chunks.map((chunk) => signature("celery.starmap", [], { task: clone(task), it: chunk }, {}, true));
  return groupOf(members, options);
}

/** `chain(a, b, c)` or `chain([a, b, c])`: each task gets the result of the one before. */
export function chain<R = Untyped>(...sigs: Signature[] | [Signature[]]): Signature<R> {
  const list = sigs.flat();
  return new Signature<R>(canvasOf(list), composeChain(list.map(dataOf)));
}

/** `group(a, b)` or `group([a, b])`: all at the same time. */
export function group<R = Untyped>(...sigs: Signature[] | [Signature[]]): GroupSignature<R> {
  const list = sigs.flat();
  return new GroupSignature<R>(canvasOf(list), groupOf(list.map(dataOf)));
}

/** All of the header at the same time, then the body with the list of their results. */
export function chord<R = Untyped>(header: Signature[] | Signature, body: Signature<R>): Signature<R> {
  const list = Array.isArray(header) ? header : [header];
  const data = Array.isArray(header) ? list.map(dataOf) : dataOf(header);
  return new Signature<R>(canvasOf([...list, body]), chordOf(data, dataOf(body)));
}

/** A {@link group}: its result is that of all its tasks. */
export class GroupSignature<R = Untyped> extends Signature<R[]> {
  override async applyAsync(args?: readonly unknown[], options?: Options): Promise<GroupResult<R>> {
    return (await super.applyAsync(args, options)) as unknown as GroupResult<R>;
  }

  override delay(...args: unknown[]): Promise<GroupResult<R>> {
    return this.applyAsync(args);
  }
}

function canvasOf(sigs: readonly Signature[]): Canvas | null {
  return sigs.find((sig) => sig?.canvas)?.canvas ?? null;
}

function dataOf(sig: Signature): SignatureData {
  if (!(sig instanceof Signature)) {
    throw new TypeError(`chain, group and chord take signatures, such as task.s(), not ${repr(sig)}`);
  }
  return clone(sig.toJSON());
}

function signatures(value: unknown): SignatureData[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]) as SignatureData[];
}

function pick(options: Options, names: readonly string[]): Options {
  return Object.fromEntries(names.filter((name) => options[name] != null).map((name) => [name, options[name]]));
}

function without(options: Options, name: string): Options {
  const { [name]: _, ...rest } = options;
  return rest;
}
