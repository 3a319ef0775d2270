import { DecodeError } from "../../errors.ts";
import { type Tuple, tuple } from "../../python/collections.ts";

/** Classes that the pickle of a result names for the backend it came from, and what SQLAlchemy's options may hold. */
export const BACKEND_CLASSES: readonly string[] = [
  "celery.backends.base.DisabledBackend",
  "celery.backends.cache.CacheBackend",
  "celery.backends.database.DatabaseBackend",
  "celery.backends.filesystem.FilesystemBackend",
  "celery.backends.mongodb.MongoBackend",
  "celery.backends.redis.RedisBackend",
  "celery.backends.redis.SentinelBackend",
  "celery.backends.rpc.RPCBackend",
  "django_celery_results.backends.cache.CacheBackend",
  "django_celery_results.backends.database.DatabaseBackend",
  "sqlalchemy.pool.impl.AssertionPool",
  "sqlalchemy.pool.impl.NullPool",
  "sqlalchemy.pool.impl.QueuePool",
  "sqlalchemy.pool.impl.SingletonThreadPool",
  "sqlalchemy.pool.impl.StaticPool",
];

/**
 * A result as every other serializer has it, `((id, parent), None | [members])`, from the arguments that its pickle
 * makes it of. Mirrors `celery/result.py __reduce_args__` and `as_tuple`.
 *
 * @param type `AsyncResult`, `GroupResult` or `EagerResult`
 * @throws DecodeError for any other type, or arguments that are not those of a result
 */
export function resultTuple(type: string, args: readonly unknown[]): Tuple {
  const [id, second, third, , fifth] = args;
  if (typeof id !== "string") throw new DecodeError(`a pickled ${type} has no id`);
  if (type === "GroupResult") {
    if (!Array.isArray(second)) throw new DecodeError("a pickled GroupResult has no members");
    return tuple([tuple([id, third ?? null]), second]);
  }
  if (type === "AsyncResult") return tuple([tuple([id, fifth ?? null]), null]);
  // Its arguments are the value itself, the state and the traceback.
  if (type === "EagerResult") return tuple([tuple([id, null]), null]);
  throw new DecodeError(`the pickle asks for ${type} of the application, which is not read from pickles`);
}
