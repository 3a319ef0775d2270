import { isoFormat } from "../../../protocol/python/datetime.ts";
import { metaOfRow, type TaskRow, taskRow } from "../../../protocol/result/database-row.ts";
import { GROUP_TABLE, TASK_TABLE } from "../../../protocol/result/database-tables.ts";
import { pendingMeta, type TaskMeta } from "../../../protocol/result/meta.ts";
import type { ResultNode } from "../../../protocol/result/result-tuple.ts";
import { pickledValues, type StoredValues, serializedValues } from "../../../protocol/result/stored-value.ts";
import { OperationalError } from "../../app/errors.ts";
import { maskedUrl } from "../../masked-url.ts";
import type { BackendOptions, ResultBackend } from "../backend.ts";
import { ResultPoller } from "../result-poller.ts";
import { persistently } from "./attempts.ts";
import type { Database } from "./database.ts";
import { ResultTable } from "./result-table.ts";
import { preparedTables } from "./tables.ts";

/** The two tables. */
interface Tables {
  task: ResultTable;
  group: ResultTable;
}

/**
 * Results in the tables of Celery's database backend. Mirrors `celery/backends/database/__init__.py`.
 *
 * Waiting is by looking: other writers tell nobody. Rows are kept until {@link cleanup} drops them.
 */
export class DatabaseBackend implements ResultBackend {
  readonly persistent = true;
  readonly supportsResultCompression = false;
  /** Left to `celery.chord_unlock`, as in Celery. */
  readonly chords = undefined;
  readonly url: string;
  readonly #options: BackendOptions;
  readonly #database: Database;
  readonly #values: StoredValues;
  readonly #poller: ResultPoller<TaskRow>;
  #tables: Promise<Tables> | undefined;
  #closed = false;

  constructor(options: BackendOptions, database: Database) {
    this.url = maskedUrl(options.url);
    this.#options = options;
    this.#database = database;
    const { codec, database: settings } = options;
    const stored = settings.pickled ? pickledValues : serializedValues;
    this.#values = stored(codec, codec.decodePickle);
    this.#poller = new ResultPoller({
      rows: (taskIds) => this.#rows(taskIds),
      taskId: (row) => row.task_id,
      read: (row) => this.#read(row),
    });
    // What fails here is tried again, and said, when a result is to be stored or read.
    if (options.database.createTablesAtSetup) void this.#withTables(async () => undefined).catch(() => undefined);
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const row = taskRow(meta, this.#options.codec, this.#values);
    await this.#withTables(({ task }) => task.store({ ...row }));
  }

  async getTaskMeta(taskId: string): Promise<TaskMeta> {
    const [row] = await this.#rows([taskId]);
    return row ? this.#read(row) : pendingMeta(taskId);
  }

  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta> {
    if (this.#closed) return Promise.reject(new OperationalError("the result backend is closed"));
    return this.#poller.wait(taskId, signal, onState);
  }

  forget(taskId: string): Promise<void> {
    return this.#withTables(({ task }) => task.delete(taskId));
  }

  async saveGroup(group: ResultNode): Promise<void> {
    const result = this.#values.encodeGroup(group);
    const row = { taskset_id: group.id, result, date_done: isoFormat(new Date()) };
    await this.#withTables((tables) => tables.group.store(row));
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const [row] = await this.#withTables(({ group }) => group.select([groupId]));
    return row?.result instanceof Uint8Array ? this.#values.decodeGroup(row.result) : null;
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#withTables(({ group }) => group.delete(groupId));
  }

  /** Drops rows of what ended longer than `expires` ago; those of tasks that never ended stay, as in Celery. */
  async cleanup(now: Date): Promise<void> {
    const { expires } = this.#options;
    if (!expires) return;
    const oldest = isoFormat(new Date(now.getTime() - expires * 1000));
    await this.#withTables(({ task }) => task.deleteBefore(oldest));
    await this.#withTables(({ group }) => group.deleteBefore(oldest));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#poller.close(new OperationalError("the result backend was closed before the result came"));
    await this.#tables?.catch(() => undefined);
    await this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Tries again for as long as a connection may take to be made. @throws OperationalError, EncodeError */
  #withTables<T>(call: (tables: Tables) => Promise<T>): Promise<T> {
    return persistently(
      {
        url: this.url,
        timeoutMs: this.#options.connectionTimeout * 1000,
        kindOf: (error) => this.#database.kindOf(error),
        onMissing: () => {
          this.#tables = undefined;
        },
        closed: () => this.#closed,
      },
      async () => call(await this.#prepared()),
    );
  }

  #prepared(): Promise<Tables> {
    this.#tables ??= this.#prepare().catch((error) => {
      this.#tables = undefined;
      throw error;
    });
    return this.#tables;
  }

  async #prepare(): Promise<Tables> {
    const { tableNames: names, tableSchemas: schemas } = this.#options.database;
    const [task, group] = await preparedTables(this.#database, [
      { table: TASK_TABLE, name: { schema: schemas.task ?? null, name: names.task ?? TASK_TABLE.name } },
      { table: GROUP_TABLE, name: { schema: schemas.group ?? null, name: names.group ?? GROUP_TABLE.name } },
    ]);
    return { task: new ResultTable(this.#database, task), group: new ResultTable(this.#database, group) };
  }

  async #rows(taskIds: readonly string[]): Promise<TaskRow[]> {
    const rows = await this.#withTables(({ task }) => task.select(taskIds));
    return rows as unknown as TaskRow[];
  }

  #read(row: TaskRow): TaskMeta {
    return metaOfRow(row, this.#options.codec, this.#values);
  }
}
