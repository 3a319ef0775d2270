import { type DjangoTaskRow, djangoSubTasks } from "../../../protocol/result/django-row.ts";
import { fromTuple, isNested, leavesOf, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { READY_STATES } from "../../../protocol/result/states.ts";
import { NotImplementedError } from "../../app/errors.ts";
import type { Logger } from "../../logger.ts";
import type { ChordPart, ChordStore, ReadyChord } from "../backend.ts";
import type { Database } from "./database.ts";
import type { ResultTable } from "./result-table.ts";
import type { Session } from "./session.ts";

/** The tables that a chord needs. */
export interface ChordTables {
  task: ResultTable;
  chord: ResultTable;
}

/** What the store needs of the backend. */
export interface DjangoChordContext<Tables extends ChordTables> {
  session: Session<Tables>;
  database: Database;
  /** Reads a value that is only handed on. @throws DecodeError, ContentDisallowed */
  result(row: DjangoTaskRow): unknown;
  log: Logger;
}

/**
 * Chords by a counter for each: a row of `django_celery_results_chordcounter`, which is locked while it is counted
 * down, and goes when it comes to nothing. Mirrors `django_celery_results/backends/database.py on_chord_part_return`.
 *
 * A part that is delivered again is counted again, here as in Python. A counter that comes to nothing while a part has
 * no result is therefore set to the number of those that have none, where Python would drop the chord.
 */
export class DjangoChords<Tables extends ChordTables> implements ChordStore {
  readonly #context: DjangoChordContext<Tables>;

  constructor(context: DjangoChordContext<Tables>) {
    this.#context = context;
  }

  async saveHeader(header: ResultNode, size: number): Promise<void> {
    const row = { group_id: header.id, sub_tasks: JSON.stringify(djangoSubTasks(header)), count: size };
    await this.#context.session.run(({ chord }) => chord.store(row));
  }

  /** The size is in the counter since the header was saved. */
  async setSize(): Promise<void> {}

  /** @throws NotImplementedError always, as in Celery */
  async addPart(): Promise<void> {
    throw new NotImplementedError("Backend does not support add_to_chord");
  }

  async partReturned({ groupId }: ChordPart): Promise<ReadyChord | null> {
    const { session, database, log } = this.#context;
    const complete = await session.run((tables) =>
      database.transaction(async (transaction) => {
        const chords = tables.chord.within(transaction);
        const counter = await chords.locked(groupId);
        if (!counter) {
          log.warn({ group: groupId }, `Can't find ChordCounter for Group ${groupId}`);
          return null;
        }
        const count = Number(counter.count) - 1;
        if (count > 0) {
          await chords.store({ group_id: groupId, count });
          return null;
        }
        const header = headerOf(groupId, counter.sub_tasks);
        const ids = leavesOf(header);
        const rows = (await tables.task.within(transaction).select([...new Set(ids)])) as unknown as DjangoTaskRow[];
        const ended = new Map(rows.filter((row) => READY_STATES.has(row.status)).map((row) => [row.task_id, row]));
        const waiting = ids.filter((id) => !ended.has(id)).length;
        if (waiting > 0) {
          await chords.store({ group_id: groupId, count: waiting });
          return null;
        }
        await chords.delete(groupId);
        return { header, rows: ids.map((id) => ended.get(id) as DjangoTaskRow) };
      }),
    );
    return complete && this.#ready(complete.header, complete.rows);
  }

  #ready(header: ResultNode, rows: readonly DjangoTaskRow[]): ReadyChord {
    const parts = isNested(header) ? null : this.#parts(rows);
    return {
      parts,
      header: parts ? null : header,
      // The counter is gone: nobody else comes to this.
      extendClaim: async () => true,
      done: async () => undefined,
      failed: async () => undefined,
    };
  }

  /** Null where a result cannot be read: joining them one by one says what is wrong. */
  #parts(rows: readonly DjangoTaskRow[]): { taskId: string; state: string; result: unknown }[] | null {
    try {
      return rows.map((row) => ({ taskId: row.task_id, state: row.status, result: this.#context.result(row) }));
    } catch {
      return null;
    }
  }
}

function headerOf(id: string, subTasks: unknown): ResultNode {
  const tuples: unknown = JSON.parse(String(subTasks));
  const results = (Array.isArray(tuples) ? tuples : []).map(fromTuple).filter((node) => node !== null);
  return { id, parent: null, results };
}
