import { ImproperlyConfigured } from "./errors.ts";
import { camelCase } from "./settings.ts";
import type { TaskOptions } from "./task.ts";

/**
 * Options that the settings give to tasks, by the task's name, `*` for all. Names may be camelCase or Celery's
 * snake_case.
 */
export type TaskAnnotation = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Attributes of Celery's tasks that have no meaning here: a file of settings may be shared with Python. */
const PYTHONS_OWN: ReadonlySet<string> = new Set([
  ...["abstract", "app", "backend", "base", "Request", "requestStack", "Strategy", "typing", "shared", "lazy"],
  ...["fromConfig", "shadowName", "onBound", "onReplace", "pydantic", "pydanticStrict", "pydanticContext"],
  "pydanticDumpKwargs",
]);

/** Every option that an annotation may give; a task's name is not one. */
const OPTIONS = {
  bind: 0,
  parameters: 0,
  params: 0,
  returns: 0,
  acksLate: 0,
  acksOnFailure: 0,
  acksOnTimeout: 0,
  acksOnFailureOrTimeout: 0,
  rejectOnWorkerLost: 0,
  retryOnWorkerLost: 0,
  autoretryFor: 0,
  dontAutoretryFor: 0,
  retryKwargs: 0,
  retryBackoff: 0,
  retryBackoffMax: 0,
  retryJitter: 0,
  maxRetries: 0,
  defaultRetryDelay: 0,
  softTimeLimit: 0,
  timeLimit: 0,
  ignoreResult: 0,
  storeErrorsEvenIfIgnored: 0,
  storeEagerResult: 0,
  trackStarted: 0,
  rateLimit: 0,
  throws: 0,
  sendEvents: 0,
  trail: 0,
  resultreprMaxsize: 0,
  queue: 0,
  exchange: 0,
  routingKey: 0,
  priority: 0,
  expires: 0,
  serializer: 0,
  compression: 0,
  deliveryMode: 0,
  beforeStart: 0,
  onSuccess: 0,
  onFailure: 0,
  onRetry: 0,
  afterReturn: 0,
} satisfies Record<Exclude<keyof TaskOptions, "name">, 0>;

/**
 * A task's options with those that the setting `taskAnnotations` gives it. As in Celery they come before the task's
 * own, and what is said of all tasks (`*`) before what is said of one. Mirrors `celery/app/annotations.py`.
 * @throws ImproperlyConfigured for an option that there is not
 */
export function annotated(options: TaskOptions, annotations: TaskAnnotation | readonly TaskAnnotation[]): TaskOptions {
  const list = [annotations].flat() as readonly TaskAnnotation[];
  const first = (name: string): Readonly<Record<string, unknown>> | undefined =>
    list.find((annotation) => Object.hasOwn(annotation, name))?.[name];
  const given = [first(options.name), first("*")].filter((attributes) => attributes !== undefined);
  if (given.length === 0) return options;
  return Object.assign({}, options, ...given.map((attributes) => optionsOf(attributes, options.name)));
}

function optionsOf(attributes: Readonly<Record<string, unknown>>, task: string): Partial<TaskOptions> {
  const known = Object.entries(attributes).map(([name, value]) => [camelCase(name), value] as const);
  const mine = known.filter(([name]) => !PYTHONS_OWN.has(name));
  const unknown = mine.find(([name]) => !Object.hasOwn(OPTIONS, name));
  if (unknown) throw new ImproperlyConfigured(`taskAnnotations: tasks have no option ${unknown[0]} (task ${task})`);
  // Python's None is where nothing is said.
  return Object.fromEntries(mine.filter(([name, value]) => value !== null || name === "maxRetries"));
}
