import { writes } from "../../protocol/compatibility.ts";
import type { BackendOptions } from "../backends/backend.ts";
import { ImproperlyConfigured } from "./errors.ts";
import type { Settings } from "./settings.ts";

/** What a backend needs of its application beside the settings. */
type OwnOptions = Pick<BackendOptions, "clientName" | "broker" | "replyTo" | "codec" | "log">;

/** What the result backend is made with. @throws ImproperlyConfigured when the settings do not say where it is */
export function backendOptions(settings: Settings, own: OwnOptions): BackendOptions {
  return {
    ...own,
    url: resultBackendUrl(settings),
    transportOptions: settings.resultBackendTransportOptions,
    useSsl: settings.redisBackendUseSsl ?? false,
    expires: settings.resultExpires,
    failureExpires: settings.resultFailureExpires,
    chordExpires: settings.resultChordExpires,
    connectionTimeout: settings.brokerConnectionTimeout,
    resultPersistent: settings.resultPersistent,
    replyQueueDurable: writes(settings.compatibility, "durableReplyQueue"),
    chordClaims: writes(settings.compatibility, "chordClaims"),
    redis: {
      host: settings.redisHost,
      port: settings.redisPort,
      db: settings.redisDb,
      username: settings.redisUsername,
      password: settings.redisPassword,
      socketTimeout: settings.redisSocketTimeout,
      socketConnectTimeout: settings.redisSocketConnectTimeout,
      healthCheckInterval: settings.redisBackendHealthCheckInterval,
      clientName: settings.redisClientName,
    },
    alwaysRetry: settings.resultBackendAlwaysRetry
      ? {
          maxRetries: settings.resultBackendMaxRetries,
          baseSleepMs: settings.resultBackendBaseSleepBetweenRetriesMs,
          maxSleepMs: settings.resultBackendMaxSleepBetweenRetriesMs,
        }
      : null,
    cacheOptions: settings.cacheBackendOptions,
    mongodb: settings.mongodbBackendSettings ?? {},
    database: {
      tableNames: settings.databaseTableNames ?? {},
      tableSchemas: settings.databaseTableSchemas ?? {},
      createTablesAtSetup: settings.databaseCreateTablesAtSetup,
      engineOptions: settings.databaseEngineOptions,
      shortLivedSessions: settings.databaseShortLivedSessions,
      pickled: !writes(settings.compatibility, "serializedRows"),
    },
  };
}

/**
 * Where results go: `database` alone means `databaseUrl`, `cache` alone `cacheBackend`, and `django-db`
 * `djangoDatabaseUrl`, since there is no Django here that could say it. @throws ImproperlyConfigured when there is none
 */
function resultBackendUrl({ resultBackend, databaseUrl, djangoDatabaseUrl, cacheBackend }: Settings): string {
  switch (resultBackend) {
    case "database":
    case "db":
      if (databaseUrl) return `db+${databaseUrl}`;
      throw new ImproperlyConfigured(`resultBackend "${resultBackend}" needs databaseUrl, where the database is`);
    case "cache":
      if (cacheBackend) return `cache+${cacheBackend}`;
      throw new ImproperlyConfigured('resultBackend "cache" needs cacheBackend, where the cache is');
    case "django-db":
      if (djangoDatabaseUrl) return `django-db+${djangoDatabaseUrl}`;
      throw new ImproperlyConfigured(
        'resultBackend "django-db" needs djangoDatabaseUrl, where Django\'s database is: postgresql://user:password@host:5432/database',
      );
    default:
      return resultBackend ?? "disabled";
  }
}
