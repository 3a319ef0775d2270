import { isoFormat } from "../../../protocol/python/datetime.ts";
import {
  type DjangoContent,
  type DjangoTaskRow,
  djangoContent,
  djangoResult,
  djangoTaskRow,
  metaOfDjangoRow,
} from "../../../protocol/result/django-row.ts";
import { DJANGO_CHORD_TABLE, DJANGO_GROUP_TABLE, DJANGO_TASK_TABLE } from "../../../protocol/result/django-tables.ts";
import { type MetaRequest, pendingMeta, type TaskMeta } from "../../../protocol/result/meta.ts";
import { asTuple, fromTuple, type ResultNode } from "../../../protocol/result/result-tuple.ts";
import { OperationalError } from "../../app/errors.ts";
import { maskedUrl } from "../../masked-url.ts";
import type { BackendOptions, ReplyAddress, ResultBackend } from "../backend.ts";
import { ResultPoller } from "../result-poller.ts";
import type { Database } from "./database.ts";
import { type ChordTables, DjangoChords } from "./django-chords.ts";
import { deleteExpired } from "./expiry.ts";
import { ResultTable } from "./result-table.ts";
import { Session } from "./session.ts";
import { existingTable } from "./tables.ts";

/** The three tables. */
interface Tables extends ChordTables {
  group: ResultTable;
}

/** What a row keeps from when it was new. */
const INSERT_ONLY = ["date_created"];

/**
 * Results in the tables of the Django application django-celery-results, where Django's admin shows them. Django's
 * migrations make the tables. Mirrors `django_celery_results/backends/database.py`.
 */
export class DjangoBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = false;
  readonly chords: DjangoChords<Tables>;
  readonly url: string;
  readonly #options: BackendOptions;
  readonly #session: Session<Tables>;
  readonly #poller: ResultPoller<DjangoTaskRow>;

  constructor(options: BackendOptions, database: Database) {
    this.url = maskedUrl(options.url);
    this.#options = options;
    this.#session = new Session({
      url: this.url,
      database,
      timeoutMs: options.connectionTimeout * 1000,
      prepare: () => prepare(this.url, database),
    });
    this.#poller = new ResultPoller({
      rows: (taskIds) => this.#rows(taskIds),
      taskId: (row) => row.task_id,
      read: (row) => this.#read(row),
    });
    const { codec, log } = options;
    this.chords = new DjangoChords({
      session: this.#session,
      database,
      result: (row) => djangoResult(row, (content) => codec.decodeContent(content, true)),
      log,
    });
  }

  async storeResult(meta: TaskMeta, _: ReplyAddress, request?: MetaRequest): Promise<void> {
    const row = djangoTaskRow(meta, request, this.#options.codec, utc(meta.date_done));
    await this.#session.run(({ task }) => task.store({ ...row }, INSERT_ONLY));
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const [row] = await this.#rows([taskId]);
    return row ? this.#read(row) : pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#session.closed) return Promise.reject(new OperationalError("the result backend is closed"));
    return this.#poller.wait(taskId, signal, onState);
  }

  forget(taskId: string): Promise<void> {
    return this.#session.run(({ task }) => task.delete(taskId));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const now = utc();
    const content = djangoContent(asTuple(group), this.#options.codec);
    const row = { group_id: group.id, date_created: now, date_done: now, ...content };
    await this.#session.run((tables) => tables.group.store(row, INSERT_ONLY));
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const [row] = await this.#session.run(({ group }) => group.select([groupId]));
    return row ? fromTuple(djangoResult(row as unknown as DjangoContent, this.#options.codec.decodeContent)) : null;
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#session.run(({ group }) => group.delete(groupId));
  }

  /** Drops rows that were last written longer than `expires` ago; those of tasks that never ended too, as in Python. */
  async cleanup(now: Date): Promise<void> {
    await deleteExpired(this.#session, this.#options.expires, now);
  }

  async close(): Promise<void> {
    this.#poller.close(new OperationalError("the result backend was closed before the result came"));
    await this.#session.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #rows(taskIds: readonly string[]): Promise<DjangoTaskRow[]> {
    const rows = await this.#session.run(({ task }) => task.select(taskIds));
    return rows as unknown as DjangoTaskRow[];
  }

  #read(row: DjangoTaskRow): TaskMeta {
    return metaOfDjangoRow(row, this.#options.codec.decodeContent);
  }
}

/** @throws OperationalError when Django has not made a table yet; the driver's error */
async function prepare(url: string, database: Database): Promise<Tables> {
  const [task, group, chord] = await Promise.all(
    [DJANGO_TASK_TABLE, DJANGO_GROUP_TABLE, DJANGO_CHORD_TABLE].map(async (table) => {
      const found = await existingTable(database, table);
      if (found) return new ResultTable(database, found);
      throw new OperationalError(
        `${url}: there is no table ${table.name}: run python manage.py migrate django_celery_results`,
      );
    }),
  );
  return { task, group, chord } as Tables;
}

/** A moment, or now, by UTC's clock, which Django keeps. */
function utc(iso: string | null = null): string {
  return isoFormat(iso === null ? new Date() : new Date(iso));
}
