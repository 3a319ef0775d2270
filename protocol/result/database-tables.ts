/**
 * What a column holds; each kind of database has its own word for it. A `moment` is kept by the clock of the
 * application or the session, an `instant` by UTC's, or with its zone.
 */
export type ColumnKind = "integer" | "name" | "state" | "bytes" | "text" | "moment" | "instant";

/** The columns of a table. */
export interface TableColumns {
  readonly name: string;
  /** The column, unique, that says what a row is of. */
  readonly key: string;
  /** The columns beside `id`, in order; a table that an older version made has fewer. */
  readonly columns: Readonly<Record<string, ColumnKind>>;
}

/**
 * A table of results, as SQLAlchemy makes it for Celery 5.7, under its name unless `database_table_names` gives
 * another. Up to 5.6 there were no `children` and `stamps`.
 */
export interface DatabaseTable extends TableColumns {
  /** Where ids come from on databases that have sequences; it lies in the table's schema. */
  readonly sequence: string;
  /** The index on `date_done`, from 5.6 on. It keeps its name when the table has another. */
  readonly index: string;
}

/** How much text fits into a column of these kinds, in characters. */
export const COLUMN_LENGTHS = { name: 155, state: 50 } as const;

/** Results, one row a task. Mirrors `celery/backends/database/models.py TaskExtended`. */
export const TASK_TABLE: DatabaseTable = {
  name: "celery_taskmeta",
  key: "task_id",
  columns: {
    task_id: "name",
    status: "state",
    result: "bytes",
    date_done: "moment",
    traceback: "text",
    children: "bytes",
    name: "name",
    args: "bytes",
    kwargs: "bytes",
    worker: "name",
    retries: "integer",
    queue: "name",
    stamps: "bytes",
  },
  sequence: "task_id_sequence",
  index: "ix_celery_taskmeta_date_done",
};

/** Saved groups. Mirrors `celery/backends/database/models.py TaskSet`. */
export const GROUP_TABLE: DatabaseTable = {
  name: "celery_tasksetmeta",
  key: "taskset_id",
  columns: { taskset_id: "name", result: "bytes", date_done: "moment" },
  sequence: "taskset_id_sequence",
  index: "ix_celery_tasksetmeta_date_done",
};
