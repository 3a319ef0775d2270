import { ImproperlyConfigured } from "./app/errors.ts";
import type { BackendOptions, ResultBackend } from "./backends/backend.ts";
import type { Database } from "./backends/database/database.ts";
import type { Broker, BrokerOptions } from "./brokers/broker.ts";
import { maskedUrl } from "./masked-url.ts";
import { AsyncPool } from "./pools/async.ts";
import type { Pool } from "./pools/pool.ts";

/** Makes an adapter; its driver is loaded only when it is asked for. */
type BrokerFactory = (options: BrokerOptions) => Promise<Broker>;
type BackendFactory = (options: BackendOptions) => Promise<ResultBackend>;

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

/** @throws ImproperlyConfigured as {@link createBroker} */
export function createBackend(options: BackendOptions): Promise<ResultBackend> {
  const factory = BACKENDS[driverless(schemeOf(options.url))];
  if (!factory) throw unknownScheme("resultBackend", options.url, BACKENDS);
  return factory(options);
}

/**
 * The pool of that name. `prefork`, Celery's own default, is `async` here.
 *
 * @param limit how many jobs run at a time
 * @throws ImproperlyConfigured for a name that is none
 */
export function createPool(name: string, limit: number): Pool {
  if (name !== "async" && name !== "prefork") {
    throw new ImproperlyConfigured(`pool cannot be ${JSON.stringify(name)}: the only pool so far is async`);
  }
  return new AsyncPool(limit);
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
