import { inspect } from "node:util";
import leven from "leven";
import { z } from "zod";
import { COMPATIBILITIES, type Compatibility } from "../../protocol/compatibility.ts";
import type { BackendFactory } from "../backends/backend.ts";
import { INFLATED_SIZE_LIMIT } from "../compression/compression.ts";
import { maskedUrl } from "../masked-url.ts";
import type { TaskAnnotation } from "./annotations.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { QueueSetting } from "./queues.ts";
import type { RouteSetting } from "./router.ts";
import { SETTINGS_WITHOUT_EFFECT } from "./settings-without-effect.ts";

/** How publishing is tried again; the names are Celery's. Seconds. */
export interface RetryPolicy {
  /** null for ever. */
  max_retries: number | null;
  interval_start: number;
  interval_step: number;
  interval_max: number;
}

/** Celery's settings that this package acts on, with Celery's defaults. Durations are seconds. */
export interface Settings {
  /** One URL, several separated by `;`, or a list: the next is tried when one fails. */
  brokerUrl: string | string[];
  brokerReadUrl: string | string[] | null;
  brokerWriteUrl: string | string[] | null;
  /** kombu's own options, under kombu's names. */
  brokerTransportOptions: Record<string, unknown>;
  brokerConnectionTimeout: number;
  brokerConnectionRetry: boolean;
  brokerConnectionRetryOnStartup: boolean | null;
  /** 0 or null for ever. */
  brokerConnectionMaxRetries: number | null;
  brokerHeartbeat: number;
  brokerUseSsl: boolean | Record<string, unknown>;
  brokerFailoverStrategy: "round-robin" | "shuffle";
  brokerLoginMethod: string | null;
  /** What RabbitMQ keeps tasks in until their time, once a queue is a quorum queue. */
  brokerNativeDelayedDeliveryQueueType: "classic" | "quorum";

  resultBackend: string | null;
  resultBackendTransportOptions: Record<string, unknown>;
  /** Result backends of one's own, by the scheme of their URLs; they come before those that are built in. */
  overrideBackends: Record<string, BackendFactory>;
  resultSerializer: string;
  resultAcceptContent: string[] | null;
  /** null or 0: never. */
  resultExpires: number | null;
  resultChordExpires: number | null;
  resultFailureExpires: number | null;
  resultExtended: boolean;
  resultPersistent: boolean | null;
  resultCompression: string | null;
  resultChordJoinTimeout: number | null;
  /** Seconds between two looks at a chord's header, where the backend does not count its parts. */
  resultChordRetryInterval: number;
  resultBackendAlwaysRetry: boolean;
  /** null for ever. */
  resultBackendMaxRetries: number | null;
  resultBackendBaseSleepBetweenRetriesMs: number;
  resultBackendMaxSleepBetweenRetriesMs: number;

  redisBackendUseSsl: boolean | Record<string, unknown> | null;
  redisHost: string | null;
  redisPort: number | null;
  redisDb: number | null;
  redisUsername: string | null;
  redisPassword: string | null;
  redisSocketTimeout: number | null;
  redisSocketConnectTimeout: number | null;
  redisBackendHealthCheckInterval: number | null;
  redisClientName: string | null;

  /** What `resultBackend: "cache"` stands for: the URL of memcached, without `cache+`. */
  cacheBackend: string | null;
  /** pymemcache's options. */
  cacheBackendOptions: Record<string, unknown>;

  /** Celery's words: host, port, database, collections, options of the driver. */
  mongodbBackendSettings: Record<string, unknown> | null;

  /** What `resultBackend: "database"` stands for: SQLAlchemy's URL, without `db+`. */
  databaseUrl: string | null;
  /** SQLAlchemy's engine options. */
  databaseEngineOptions: Record<string, unknown>;
  databaseShortLivedSessions: boolean;
  databaseTableNames: { task?: string | undefined; group?: string | undefined } | null;
  databaseTableSchemas: { task?: string | undefined; group?: string | undefined } | null;
  databaseCreateTablesAtSetup: boolean;
  /** Where Django's database is, for `resultBackend: "django-db"`: `postgresql://…`, `mysql://…`, `sqlite:///…`. Ours. */
  djangoDatabaseUrl: string | null;

  acceptContent: string[];
  /** Bytes that a compressed message or result may inflate to; null for no limit. Celery has no such limit. */
  inflatedSizeLimit: number | null;
  enableUtc: boolean;
  /** An IANA name; null for UTC. */
  timezone: string | null;

  taskDefaultQueue: string;
  taskDefaultQueueType: "classic" | "quorum";
  taskDefaultExchange: string | null;
  taskDefaultExchangeType: "direct" | "topic" | "fanout";
  taskDefaultRoutingKey: string | null;
  taskDefaultDeliveryMode: 1 | 2 | "transient" | "persistent";
  taskDefaultPriority: number | null;
  taskQueues: QueueSetting[] | Record<string, Omit<QueueSetting, "name">> | null;
  taskQueueMaxPriority: number | null;
  taskRoutes: RouteSetting | RouteSetting[] | null;
  taskCreateMissingQueues: boolean;
  taskCreateMissingQueueType: "classic" | "quorum";
  taskCreateMissingQueueExchangeType: "direct" | "topic" | "fanout" | null;
  taskSerializer: string;
  taskCompression: string | null;
  taskProtocol: 1 | 2;
  taskPublishRetry: boolean;
  taskPublishRetryPolicy: RetryPolicy;
  /** Milliseconds that one publish may take, all its retries together. Celery has no such limit. */
  taskPublishTimeoutMs: number;
  taskIgnoreResult: boolean;
  taskStoreErrorsEvenIfIgnored: boolean;
  taskTrackStarted: boolean;
  taskAcksLate: boolean;
  taskAcksOnFailureOrTimeout: boolean;
  taskAcksOnFailure: boolean | null;
  taskAcksOnTimeout: boolean | null;
  taskRejectOnWorkerLost: boolean;
  /** True to retry a task whose worker was lost, as often as it may be retried. */
  taskRetryOnWorkerLost: boolean;
  /** How often a task may be lost with its worker before it fails; null for no limit. Celery has no such limit. */
  taskRedeliveryLimit: number | null;
  taskTimeLimit: number | null;
  taskSoftTimeLimit: number | null;
  /** The rate limit of tasks that have none of their own: `10/s`, `100/m`, `5/h`, or a number a second. */
  taskDefaultRateLimit: string | number | null;
  taskSendSentEvent: boolean;
  taskInheritParentPriority: boolean;
  taskReprMaxlevels: number;
  /** Options of tasks, by their names, and by `*` for all; the first of a list that names a task counts. */
  taskAnnotations: TaskAnnotation | TaskAnnotation[] | null;
  /** True to run tasks of this side where they are called, and to send nothing: for tests. */
  taskAlwaysEager: boolean;
  /** True to throw then what a task throws. */
  taskEagerPropagates: boolean;
  taskStoreEagerResult: boolean;
  taskAllowErrorCbOnChordHeader: boolean;

  workerConcurrency: number | null;
  workerPrefetchMultiplier: number;
  workerDisablePrefetch: boolean;
  workerEtaTaskLimit: number | null;
  workerSendTaskEvents: boolean;
  workerEnableRemoteControl: boolean;
  workerDetectQuorumQueues: boolean;
  /** True to take from a queue of the worker's own as well: `<node name>.dq2`. */
  workerDirect: boolean;
  /** Seconds that a cold stop gives running tasks. */
  workerSoftShutdownTimeout: number;
  /** True to wait that long also when nothing runs. */
  workerEnableSoftShutdownOnIdle: boolean;
  /** True to end late acknowledged tasks when the connection to the broker is lost, which gives them to others. */
  workerCancelLongRunningTasksOnConnectionLoss: boolean;
  workerPool: string;
  workerPoolRestarts: boolean;
  workerDisableRateLimits: boolean;
  /** Path of the file in which the worker keeps its revoked tasks between two runs; `-S` of the command. */
  workerStateDb: string | null;
  /** True to look at the result of a late acknowledged task that is delivered again, and not to run it twice. */
  workerDeduplicateSuccessfulTasks: boolean;
  /** How many tasks a child of the pools `threads` and `processes` runs before it is replaced. */
  workerMaxTasksPerChild: number | null;
  /** KiB of memory after which such a child is replaced. */
  workerMaxMemoryPerChild: number | null;

  controlExchange: string;
  controlQueueTtl: number;
  controlQueueExpires: number;
  /** null for what `compatibility` says: true from 5.7 on. */
  controlQueueExclusive: boolean | null;
  controlQueueDurable: boolean;
  eventExchange: string;
  eventSerializer: string;
  eventQueuePrefix: string;
  eventQueueTtl: number;
  eventQueueExpires: number;
  eventQueueExclusive: boolean;
  eventQueueDurable: boolean;

  /** Path of the private key that signs, PEM. The five of them make up the serializer `auth`. */
  securityKey: string | null;
  securityKeyPassword: string | null;
  /** Path of the certificate of `securityKey`, PEM. */
  securityCertificate: string | null;
  /** Path of a folder with the certificates of all who may sign, or a pattern. */
  securityCertStore: string | null;
  /** The hash of signatures. */
  securityDigest: string;

  compatibility: Compatibility;
}

const seconds = z.number().nonnegative();
const whole = z.int().nonnegative();
const urls = z.union([z.string(), z.array(z.string()).min(1)]);
const options = z.record(z.string(), z.unknown());
const exchangeType = z.enum(["direct", "topic", "fanout"]);
const queueType = z.enum(["classic", "quorum"]);
const annotation = z.record(z.string(), options);
const tables = z.strictObject({ task: z.string().optional(), group: z.string().optional() });
const retryPolicy = z.object({
  max_retries: whole.nullable().default(3),
  interval_start: seconds.default(0),
  interval_step: seconds.default(0.2),
  interval_max: seconds.default(1),
});

const schema = z.object({
  brokerUrl: urls.default("amqp://guest:guest@localhost:5672//"),
  brokerReadUrl: urls.nullable().default(null),
  brokerWriteUrl: urls.nullable().default(null),
  brokerTransportOptions: options.default({}),
  brokerConnectionTimeout: z.number().positive().default(4),
  brokerConnectionRetry: z.boolean().default(true),
  brokerConnectionRetryOnStartup: z.boolean().nullable().default(null),
  brokerConnectionMaxRetries: whole.nullable().default(100),
  brokerHeartbeat: seconds.default(120),
  brokerUseSsl: z.union([z.boolean(), options]).default(false),
  brokerFailoverStrategy: z.enum(["round-robin", "shuffle"]).default("round-robin"),
  brokerLoginMethod: z.string().nullable().default(null),
  brokerNativeDelayedDeliveryQueueType: queueType.default("quorum"),

  resultBackend: z.string().nullable().default(null),
  resultBackendTransportOptions: options.default({}),
  overrideBackends: z
    .record(
      z.string().toLowerCase(),
      z.custom<BackendFactory>((value) => typeof value === "function", "has to be a function that makes the backend"),
    )
    .default({}),
  resultSerializer: z.string().default("json"),
  resultAcceptContent: z.array(z.string()).nullable().default(null),
  resultExpires: seconds.nullable().default(86400),
  resultChordExpires: seconds.nullable().default(null),
  resultFailureExpires: seconds.nullable().default(null),
  resultExtended: z.boolean().default(false),
  resultPersistent: z.boolean().nullable().default(null),
  resultCompression: z.string().nullable().default(null),
  resultChordJoinTimeout: seconds.nullable().default(3),
  resultChordRetryInterval: seconds.default(1),
  resultBackendAlwaysRetry: z.boolean().default(false),
  resultBackendMaxRetries: whole.nullable().default(null),
  resultBackendBaseSleepBetweenRetriesMs: whole.default(10),
  resultBackendMaxSleepBetweenRetriesMs: whole.default(10_000),

  redisBackendUseSsl: z.union([z.boolean(), options]).nullable().default(null),
  redisHost: z.string().nullable().default(null),
  redisPort: z.int().min(1).max(65_535).nullable().default(null),
  redisDb: whole.nullable().default(null),
  redisUsername: z.string().nullable().default(null),
  redisPassword: z.string().nullable().default(null),
  redisSocketTimeout: seconds.nullable().default(120),
  redisSocketConnectTimeout: seconds.nullable().default(null),
  redisBackendHealthCheckInterval: seconds.nullable().default(null),
  redisClientName: z.string().nullable().default(null),

  cacheBackend: z.string().nullable().default(null),
  cacheBackendOptions: options.default({}),

  mongodbBackendSettings: options.nullable().default(null),

  databaseUrl: z.string().nullable().default(null),
  databaseEngineOptions: options.default({ pool_pre_ping: true, pool_recycle: 3600 }),
  databaseShortLivedSessions: z.boolean().default(false),
  databaseTableNames: tables.nullable().default(null),
  databaseTableSchemas: tables.nullable().default(null),
  databaseCreateTablesAtSetup: z.boolean().default(true),
  djangoDatabaseUrl: z.string().nullable().default(null),

  acceptContent: z.array(z.string()).default(["json"]),
  inflatedSizeLimit: z.int().positive().nullable().default(INFLATED_SIZE_LIMIT),
  enableUtc: z.boolean().default(true),
  timezone: z.string().refine(isTimeZone, "it is an IANA name, such as Europe/Berlin").nullable().default(null),

  taskDefaultQueue: z.string().min(1).default("celery"),
  taskDefaultQueueType: queueType.default("classic"),
  taskDefaultExchange: z.string().nullable().default(null),
  taskDefaultExchangeType: exchangeType.default("direct"),
  taskDefaultRoutingKey: z.string().nullable().default(null),
  taskDefaultDeliveryMode: z.union([z.literal(1), z.literal(2), z.enum(["transient", "persistent"])]).default(2),
  taskDefaultPriority: z.int().min(0).max(255).nullable().default(null),
  taskQueues: z.custom<Settings["taskQueues"]>((value) => value === null || typeof value === "object").default(null),
  taskQueueMaxPriority: z.int().min(1).max(255).nullable().default(null),
  taskRoutes: z
    .custom<Settings["taskRoutes"]>(
      (value) => value === null || typeof value === "object" || typeof value === "function",
    )
    .default(null),
  taskCreateMissingQueues: z.boolean().default(true),
  taskCreateMissingQueueType: queueType.default("classic"),
  taskCreateMissingQueueExchangeType: exchangeType.nullable().default(null),
  taskSerializer: z.string().default("json"),
  taskCompression: z.string().nullable().default(null),
  taskProtocol: z.union([z.literal(1), z.literal(2)]).default(2),
  taskPublishRetry: z.boolean().default(true),
  taskPublishRetryPolicy: retryPolicy.prefault({}),
  taskPublishTimeoutMs: z.number().positive().default(10_000),
  taskIgnoreResult: z.boolean().default(false),
  taskStoreErrorsEvenIfIgnored: z.boolean().default(false),
  taskTrackStarted: z.boolean().default(false),
  taskAcksLate: z.boolean().default(false),
  taskAcksOnFailureOrTimeout: z.boolean().default(true),
  taskAcksOnFailure: z.boolean().nullable().default(null),
  taskAcksOnTimeout: z.boolean().nullable().default(null),
  taskRejectOnWorkerLost: z.boolean().default(false),
  taskRetryOnWorkerLost: z.boolean().default(false),
  taskRedeliveryLimit: z.int().positive().nullable().default(20),
  taskTimeLimit: seconds.nullable().default(null),
  taskSoftTimeLimit: seconds.nullable().default(null),
  taskDefaultRateLimit: z.union([z.string(), z.number().nonnegative()]).nullable().default(null),
  taskSendSentEvent: z.boolean().default(false),
  taskInheritParentPriority: z.boolean().default(false),
  taskReprMaxlevels: whole.default(3),
  taskAnnotations: z
    .union([annotation, z.array(annotation)])
    .nullable()
    .default(null),
  taskAlwaysEager: z.boolean().default(false),
  taskEagerPropagates: z.boolean().default(false),
  taskStoreEagerResult: z.boolean().default(false),
  taskAllowErrorCbOnChordHeader: z.boolean().default(false),

  workerConcurrency: z.int().positive().nullable().default(null),
  workerPrefetchMultiplier: whole.default(4),
  workerDisablePrefetch: z.boolean().default(false),
  workerEtaTaskLimit: z.int().positive().nullable().default(null),
  workerSendTaskEvents: z.boolean().default(false),
  workerEnableRemoteControl: z.boolean().default(true),
  workerDetectQuorumQueues: z.boolean().default(true),
  workerDirect: z.boolean().default(false),
  workerSoftShutdownTimeout: seconds.default(0),
  workerEnableSoftShutdownOnIdle: z.boolean().default(false),
  workerCancelLongRunningTasksOnConnectionLoss: z.boolean().default(false),
  workerPool: z.string().default("async"),
  workerPoolRestarts: z.boolean().default(false),
  workerDisableRateLimits: z.boolean().default(false),
  workerStateDb: z.string().nullable().default(null),
  workerDeduplicateSuccessfulTasks: z.boolean().default(false),
  workerMaxTasksPerChild: z.int().positive().nullable().default(null),
  workerMaxMemoryPerChild: z.int().positive().nullable().default(null),

  controlExchange: z.string().default("celery"),
  controlQueueTtl: seconds.default(300),
  controlQueueExpires: seconds.default(10),
  controlQueueExclusive: z.boolean().nullable().default(null),
  controlQueueDurable: z.boolean().default(false),
  eventExchange: z.string().default("celeryev"),
  eventSerializer: z.string().default("json"),
  eventQueuePrefix: z.string().default("celeryev"),
  eventQueueTtl: seconds.default(5),
  eventQueueExpires: seconds.default(60),
  eventQueueExclusive: z.boolean().default(true),
  eventQueueDurable: z.boolean().default(false),

  securityKey: z.string().nullable().default(null),
  securityKeyPassword: z.string().nullable().default(null),
  securityCertificate: z.string().nullable().default(null),
  securityCertStore: z.string().nullable().default(null),
  securityDigest: z.string().default("sha256"),

  compatibility: z.enum(COMPATIBILITIES).default("5.7"),
}) satisfies z.ZodType<Settings>;

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The names of all settings that have an effect, in camelCase. */
export const SETTING_NAMES: readonly string[] = Object.keys(schema.shape);

/** The settings of an application, and the names of those that were given and have no effect. */
export interface ResolvedSettings {
  settings: Settings;
  /** Names of the settings that were given, in camelCase. */
  given: string[];
  ignored: string[];
}

/**
 * Checks settings and fills in the defaults. Names may be camelCase or Celery's own snake_case.
 *
 * @throws ImproperlyConfigured naming the setting, what it was and what is allowed
 */
export function resolveSettings(given: Record<string, unknown>): ResolvedSettings {
  const known: Record<string, unknown> = {};
  const ignored: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const camel = camelCase(name);
    if (SETTING_NAMES.includes(camel)) known[camel] = value;
    else if (SETTINGS_WITHOUT_EFFECT.has(camel)) ignored.push(name);
    else throw new ImproperlyConfigured(`There is no setting ${name}.${suggestion(camel)}`);
  }
  const result = schema.safeParse(known);
  if (!result.success)
    throw new ImproperlyConfigured(result.error.issues.map((issue) => problem(issue, known)).join("; "));
  return { settings: result.data, given: Object.keys(known), ignored };
}

/** `task_default_queue` as `taskDefaultQueue`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `taskDefaultQueue` as `task_default_queue`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function suggestion(name: string): string {
  const [best] = SETTING_NAMES.map((known) => ({
    known,
    distance: leven(known.toLowerCase(), name.toLowerCase()),
  })).sort((a, b) => a.distance - b.distance);
  return best && best.distance <= Math.max(2, name.length / 4) ? ` Did you mean ${best.known}?` : "";
}

function problem(issue: z.core.$ZodIssue, given: Record<string, unknown>): string {
  const shown = inspect(maskedIn(given[String(issue.path[0])]), { breakLength: Number.POSITIVE_INFINITY });
  return `Setting ${issue.path.join(".")} cannot be ${shown.slice(0, 80)}: ${allowed(issue)}`;
}

/** URLs in what is shown, alone or in a list. */
function maskedIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskedIn);
  return typeof value === "string" ? maskedUrl(value) : value;
}

/** What is allowed, of several kinds each. */
function allowed(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_union") return issue.message;
  const kinds = issue.errors.map(([first]) => first?.message.replace(/^Invalid input: expected |, received .*$/g, ""));
  return `Invalid input: expected ${kinds.join(" or ")}`;
}
