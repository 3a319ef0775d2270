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
import type { Database } from "./database.ts";
import { deleteExpired } from "./expiry.ts";
import { ResultTable } from "./result-table.ts";
import { Session } from "./session.ts";
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
  readonly #values: StoredValues;
  readonly #poller: ResultPoller<TaskRow>;
  readonly #session: Session<Tables>;

  constructor(options: BackendOptions, database: Database) {
    this.url = maskedUrl(options.url);
    this.#options = options;
    this.#session = new Session({
      url: this.url,
      database,
      timeoutMs: options.connectionTimeout * 1000,
      prepare: () => prepare(options, database),
    });
    const { codec, database: settings } = options;
    const stored = settings.pickled ? pickledValues : serializedValues;
    this.#values = stored(codec, codec.decodePickle);
    this.#poller = new ResultPoller({
      rows: (taskIds) => this.#rows(taskIds),
      taskId: (row) => row.task_id,
      read: (row) => this.#read(row),
    });
    // What fails here is tried again, and said, when a result is to be stored or read.
    if (options.database.createTablesAtSetup) void this.#session.run(async () => undefined).catch(() => undefined);
  }

  async storeResult(meta: TaskMeta): Promise<void> {
    const row = taskRow(meta, this.#options.codec, this.#values);
    await this.#session.run(({ task }) => task.store({ ...row }));
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
    const result = this.#values.encodeGroup(group);
    const row = { taskset_id: group.id, result, date_done: isoFormat(new Date()) };
    await this.#session.run((tables) => tables.group.store(row));
  }

  async restoreGroup(groupId: string): Promise<ResultNode | null> {
    const [row] = await this.#session.run(({ group }) => group.select([groupId]));
    return row?.result instanceof Uint8Array ? this.#values.decodeGroup(row.result) : null;
  }

  deleteGroup(groupId: string): Promise<void> {
    return this.#session.run(({ group }) => group.delete(groupId));
  }

  /** Drops rows of what ended longer than `expires` ago; those of tasks that never ended stay, as in Celery. */
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

  async #rows(taskIds: readonly string[]): Promise<TaskRow[]> {
    const rows = await this.#session.run(({ task }) => task.select(taskIds));
    return rows as unknown as TaskRow[];
  }

  #read(row: TaskRow): TaskMeta {
    return metaOfRow(row, this.#options.codec, this.#values);
  }
}

async function prepare(
  { database: { tableNames, tableSchemas } }: BackendOptions,
  database: Database,
): Promise<Tables> {
  const [task, group] = await preparedTables(database, [
    { table: TASK_TABLE, name: { schema: tableSchemas.task ?? null, name: tableNames.task ?? TASK_TABLE.name } },
    { table: GROUP_TABLE, name: { schema: tableSchemas.group ?? null, name: tableNames.group ?? GROUP_TABLE.name } },
  ]);
  return { task: new ResultTable(database, task), group: new ResultTable(database, group) };
}
