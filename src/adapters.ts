import { ImproperlyConfigured } from "./app/errors.ts";
import type { BackendFactory, BackendOptions, ResultBackend } from "./backends/backend.ts";
import type { Database } from "./backends/database/database.ts";
import type { Broker, BrokerOptions } from "./brokers/broker.ts";
import { maskedUrl } from "./masked-url.ts";
import { AsyncPool } from "./pools/async.ts";
import { processPool } from "./pools/children/processes.ts";
import { threadPool } from "./pools/children/threads.ts";
import type { Pool, PoolOptions } from "./pools/pool.ts";

/** Makes an adapter; its driver is loaded only when it is asked for. */
type BrokerFactory = (options: BrokerOptions) => Promise<Broker>;

const redisBroker: BrokerFactory = async (options) =>
  new (await import("./brokers/redis/redis-broker.ts")).RedisBroker(options);
const redisBackend: BackendFactory = async (options) =>
  new (await import("./backends/redis/redis-backend.ts")).RedisBackend(options);

const amqpBroker: BrokerFactory = async (options) =>
  new (await import("./brokers/amqp/amqp-broker.ts")).AmqpBroker(options);

const filesystemBroker: BrokerFactory = async (options) =>
  new (await import("./brokers/filesystem/filesystem-broker.ts")).FilesystemBroker(options);

const memoryBroker: BrokerFactory = async (options) =>
  new (await import("./brokers/memory/memory-broker.ts")).MemoryBroker(options);
const memoryBackend: BackendFactory = async (options) =>
  new (await import("./backends/memory/memory-backend.ts")).MemoryBackend(options);
const rpcBackend: BackendFactory = async (options) => new (await import("./backends/rpc.ts")).RpcBackend(options);
const filesystemBackend: BackendFactory = async (options) =>
  new (await import("./backends/filesystem.ts")).FilesystemBackend(options);

const inDatabase =
  (open: (options: BackendOptions) => Promise<Database>): BackendFactory =>
  async (options) => {
    const { DatabaseBackend } = await import("./backends/database/database-backend.ts");
    return new DatabaseBackend(options, await open(options));
  };

const inDjango =
  (open: (options: BackendOptions) => Promise<Database>): BackendFactory =>
  async (options) => {
    const { DjangoBackend } = await import("./backends/database/django-backend.ts");
    return new DjangoBackend(options, await open(options));
  };

const openPostgres = async (options: BackendOptions): Promise<Database> =>
  new (await import("./backends/database/postgres.ts")).PostgresDatabase(options);
const openMysql = async (options: BackendOptions): Promise<Database> =>
  (await import("./backends/database/mysql.ts")).MysqlDatabase.open(options);
const openSqlite = async (options: BackendOptions): Promise<Database> =>
  (await import("./backends/database/sqlite.ts")).SqliteDatabase.open(options);

const cacheBackend: BackendFactory = async (options) =>
  new (await import("./backends/cache/cache-backend.ts")).CacheBackend(options);

const BROKERS: Readonly<Record<string, BrokerFactory>> = {
  redis: redisBroker,
  rediss: redisBroker,
  "redis+socket": redisBroker,
  sentinel: redisBroker,
  amqp: amqpBroker,
  amqps: amqpBroker,
  pyamqp: amqpBroker,
  filesystem: filesystemBroker,
  memory: memoryBroker,
};

const BACKENDS: Readonly<Record<string, BackendFactory>> = {
  redis: redisBackend,
  rediss: redisBackend,
  "redis+socket": redisBackend,
  sentinel: redisBackend,
  rpc: rpcBackend,
  file: filesystemBackend,
  memory: memoryBackend,
  "cache+memory": memoryBackend,
  "cache+memcached": cacheBackend,
  "cache+memcache": cacheBackend,
  "cache+pymemcache": cacheBackend,
  "cache+pylibmc": cacheBackend,
  "db+postgresql": inDatabase(openPostgres),
  "db+mysql": inDatabase(openMysql),
  "db+mariadb": inDatabase(openMysql),
  "db+sqlite": inDatabase(openSqlite),
  "django-db+postgresql": inDjango(openPostgres),
  "django-db+postgres": inDjango(openPostgres),
  "django-db+mysql": inDjango(openMysql),
  "django-db+mariadb": inDjango(openMysql),
  "django-db+sqlite": inDjango(openSqlite),
  disabled: async () => new (await import("./backends/disabled.ts")).DisabledBackend(),
};

/**
 * The broker that the URLs' scheme means; not yet connected.
 * @throws ImproperlyConfigured for a scheme that is none, or a URL that its adapter cannot use
 */
export function createBroker(options: BrokerOptions): Promise<Broker> {
  const url = options.urls[0] ?? "";
  const factory = BROKERS[schemeOf(url)];
  if (!factory) throw unknownScheme("brokerUrl", url, BROKERS);
  return factory(options);
}

/**
 * The result backend that the URL's scheme means; not yet connected.
 * @param overrides backends of the application's own by scheme, which come first: `overrideBackends`
 * @throws ImproperlyConfigured as {@link createBroker}
 */
export async function createBackend(
  options: BackendOptions,
  overrides: Readonly<Record<string, BackendFactory>> = {},
): Promise<ResultBackend> {
  const scheme = schemeOf(options.url);
  const factory = overrides[scheme] ?? BACKENDS[driverless(scheme)];
  if (!factory) throw unknownScheme("resultBackend", options.url, { ...BACKENDS, ...overrides });
  return factory(options);
}

/** The pools, and what of Celery's stands for which. */
const POOL_NAMES: ReadonlyMap<string, PoolName> = new Map([
  ["async", "async"],
  ["solo", "solo"],
  ["threads", "threads"],
  ["processes", "processes"],
  ["prefork", "processes"],
  ["eventlet", "async"],
  ["gevent", "async"],
]);

/** Where tasks run. */
export type PoolName = "async" | "solo" | "threads" | "processes";

/**
 * The pool that a name stands for: one of ours, or Celery's that comes nearest to it.
 * @throws ImproperlyConfigured for a name that is none
 */
export function poolName(name: string): PoolName {
  const pool = POOL_NAMES.get(name);
  if (pool) return pool;
  const names = [...POOL_NAMES.keys()].join(", ");
  throw new ImproperlyConfigured(`pool cannot be ${JSON.stringify(name)}: it is one of ${names}`);
}

/** The program that the children of pools run. */
const CHILD_PROGRAM = new URL("./cli/pool-child.js", import.meta.url);

/** A pool, without its children. */
export function createPool(name: PoolName, options: Omit<PoolOptions, "program">): Pool {
  const whole = { ...options, program: CHILD_PROGRAM };
  switch (name) {
    case "async":
      return new AsyncPool(options.limit);
    case "solo":
      return new AsyncPool(1, "solo", 1);
    case "threads":
      return threadPool(whole);
    case "processes":
      return processPool(whole);
  }
}

/** What stands before `://`, or the whole for a name like `disabled` or `rpc`. */
function schemeOf(url: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? url.toLowerCase();
}

/** `db+mysql` of `db+mysql+pymysql` and `database+mysql`: which driver Python uses does not matter here. */
function driverless(scheme: string): string {
  return scheme.replace(/^database\+/, "db+").replace(/^((?:django-)?db\+[^+]+).*$/, "$1");
}

function unknownScheme(setting: string, url: string, known: object): ImproperlyConfigured {
  const schemes = Object.keys(known).map((scheme) => `${scheme}://`);
  return new ImproperlyConfigured(
    `${setting} cannot be ${JSON.stringify(maskedUrl(url))}: it starts with one of ${schemes.join(", ")}`,
  );
}
