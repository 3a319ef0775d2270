import { randomUUID } from "node:crypto";
import type { ResultKeys } from "../../../protocol/result/keys.ts";
import type { TaskMeta } from "../../../protocol/result/meta.ts";
import { isNested, leavesOf, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../../protocol/result/states.ts";
import { ChordError, NotImplementedError } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import type { ChordPart, ChordStore, ReadyChord } from "../backend.ts";

/** Seconds that the right to send a chord's body holds at first, and that the counter of a finished chord stays. */
const CLAIM_SECONDS = 10;
const DONE_SECONDS = 300;

/** How many chords' sizes are remembered. */
const REMEMBERED = 1000;

/** The commands of memcached that chords need. Expiries are seconds; 0 for ever. */
export interface Counters {
  set(key: string, value: string, expires: number): Promise<void>;
  /** Stores what is not there yet. @returns whether it was not */
  add(key: string, value: string, expires: number): Promise<boolean>;
  get(key: string): Promise<string | undefined>;
  /** @param by may be negative; a counter stops at 0 @returns the new count; undefined when there is no such counter */
  count(key: string, by: number): Promise<number | undefined>;
  touch(key: string, expires: number): Promise<void>;
  delete(key: string): Promise<void>;
}

/** What the store needs of the backend. */
export interface CacheChordContext {
  counters: Counters;
  keys: ResultKeys;
  /** How long results are kept: seconds; 0 for ever. */
  expires: number;
  /** How long the counter of a chord under way is kept: seconds; 0 for ever. */
  chordExpires: number;
  saveGroup(group: ResultNode): Promise<void>;
  restoreGroup(groupId: string): Promise<ResultNode | null>;
  deleteGroup(groupId: string): Promise<void>;
  /** The tasks' records, in their order, to be handed on. */
  metas(taskIds: readonly string[]): Promise<TaskMeta[]>;
  log: Logger;
}

/**
 * Chords by a counter for each, the key `chord-unlock-<id>`, beside the saved group of its header.
 * Mirrors `celery/backends/base.py on_chord_part_return` and `celery/backends/cache.py`.
 *
 * A part that is delivered again is counted again, here as in Python. The count is therefore only a reason to look: the
 * chord ends when every part has a result, and the right to send its body is a key that only one worker can add.
 */
export class CacheChords implements ChordStore {
  readonly #context: CacheChordContext;
  /** Sizes by group id, so that a header is read once a worker and not once a part. */
  readonly #sizes = new Map<string, number>();

  constructor(context: CacheChordContext) {
    this.#context = context;
  }

  async saveHeader(header: ResultNode): Promise<void> {
    const { counters, keys, chordExpires } = this.#context;
    await counters.set(keys.chord(header.id), "0", chordExpires);
    await this.#context.saveGroup(header);
    await counters.touch(keys.group(header.id), this.#kept);
  }

  /** The header says how many there are. */
  async setSize(): Promise<void> {}

  /** @throws NotImplementedError always, as in Celery */
  async addPart(): Promise<void> {
    throw new NotImplementedError("Backend does not support add_to_chord");
  }

  async partReturned({ groupId, taskId, size = this.#sizes.get(groupId) }: ChordPart): Promise<ReadyChord | null> {
    const { counters, keys, log } = this.#context;
    const count = await counters.count(keys.chord(groupId), 1);
    if (count !== undefined && size !== undefined && count < size) return this.#keepOpen(groupId, taskId);
    const header = await this.#context.restoreGroup(groupId);
    if (!header) {
      // Of a chord that was done a moment ago, the counter is left.
      if (count === undefined) throw new ChordError(`GroupResult ${groupId} no longer exists`);
      log.warn({ group: groupId }, `Task ${taskId} came again to the chord ${groupId}, which is done`);
      return null;
    }
    const ids = leavesOf(header);
    this.#remember(groupId, size ?? ids.length);
    if (count !== undefined && count < (size ?? ids.length)) return this.#keepOpen(groupId, taskId);
    const metas = await this.#context.metas(ids);
    const missing = new Set(ids.filter((_, position) => !READY_STATES.has(metas[position]?.status ?? "")));
    // A part that ends without a result ignores it: joining says so.
    if (missing.size > 0 && !missing.has(taskId)) {
      if (count !== undefined) await counters.count(keys.chord(groupId), -missing.size);
      return null;
    }
    const token = randomUUID();
    if (!(await counters.add(this.#claim(groupId), token, CLAIM_SECONDS))) return null;
    const parts = metas.map(({ status, result }, position) => ({ taskId: ids[position] ?? "", state: status, result }));
    return this.#ready(header, isNested(header) || missing.size > 0 ? null : parts, token);
  }

  #ready(header: ResultNode, parts: ReadyChord["parts"], token: string): ReadyChord {
    const { counters, keys } = this.#context;
    const claim = this.#claim(header.id);
    const drop = async (): Promise<void> => {
      await this.#context.deleteGroup(header.id);
      await counters.touch(keys.chord(header.id), DONE_SECONDS);
      await counters.delete(claim);
      await Promise.all(leavesOf(header).map((id) => counters.touch(keys.task(id), this.#context.expires)));
    };
    return {
      header: parts ? null : header,
      parts,
      extendClaim: async (seconds) => {
        if ((await counters.get(claim)) !== token) return false;
        await counters.touch(claim, seconds);
        return true;
      },
      done: drop,
      failed: drop,
    };
  }

  /** Beside Celery's own keys: it never looks at it. */
  #claim(groupId: string): string {
    return `${this.#context.keys.chord(groupId)}.c`;
  }

  /** Whoever joins the chord will want all of this: it stays at least as long as the counter. */
  async #keepOpen(groupId: string, taskId: string): Promise<null> {
    const { counters, keys, chordExpires } = this.#context;
    await Promise.all([
      counters.touch(keys.chord(groupId), chordExpires),
      counters.touch(keys.group(groupId), this.#kept),
      counters.touch(keys.task(taskId), this.#kept),
    ]);
    return null;
  }

  #remember(groupId: string, size: number): void {
    if (this.#sizes.size >= REMEMBERED) this.#sizes.clear();
    this.#sizes.set(groupId, size);
  }

  get #kept(): number {
    const { expires, chordExpires } = this.#context;
    return expires === 0 || chordExpires === 0 ? 0 : Math.max(expires, chordExpires);
  }
}
