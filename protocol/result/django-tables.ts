import type { TableColumns } from "./database-tables.ts";

/**
 * Results, one row a task, as Django's migrations make them. Before release 2.6 there was no `date_started`, before 2.3
 * no `periodic_task_name`. Mirrors `django_celery_results/models.py TaskResult`.
 */
export const DJANGO_TASK_TABLE: TableColumns = {
  name: "django_celery_results_taskresult",
  key: "task_id",
  columns: {
    task_id: "name",
    periodic_task_name: "name",
    task_name: "name",
    task_args: "text",
    task_kwargs: "text",
    status: "state",
    worker: "name",
    content_type: "name",
    content_encoding: "name",
    result: "text",
    date_created: "instant",
    date_started: "instant",
    date_done: "instant",
    traceback: "text",
    meta: "text",
  },
};

/** How much text fits into the columns that are there to be looked at, in characters. */
export const DJANGO_LENGTHS = { task_name: 255, periodic_task_name: 255, worker: 100 } as const;

/** Saved groups. Mirrors `django_celery_results/models.py GroupResult`. */
export const DJANGO_GROUP_TABLE: TableColumns = {
  name: "django_celery_results_groupresult",
  key: "group_id",
  columns: {
    group_id: "name",
    date_created: "instant",
    date_done: "instant",
    content_type: "name",
    content_encoding: "name",
    result: "text",
  },
};

/** Chords under way. Mirrors `django_celery_results/models.py ChordCounter`. */
export const DJANGO_CHORD_TABLE: TableColumns = {
  name: "django_celery_results_chordcounter",
  key: "group_id",
  columns: { group_id: "name", sub_tasks: "text", count: "integer" },
};
