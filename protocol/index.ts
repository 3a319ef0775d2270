/**
 * Celery's and kombu's wire formats, as functions from bytes to values and back: for tools that look into queues and
 * results without a worker. Pure: it runs wherever JavaScript does.
 */
export * from "./canvas/chord.ts";
export * from "./canvas/compose.ts";
export * from "./canvas/freeze.ts";
export * from "./canvas/signature.ts";
export * from "./control/pidbox.ts";
export * from "./errors.ts";
export * from "./event/event.ts";
export * from "./message/embed.ts";
export { PROTOCOL_HEADERS, readHeaders, type TaskHeaders } from "./message/headers.ts";
export * from "./message/message.ts";
export * from "./message/task-options.ts";
export * from "./message/v1.ts";
export * from "./message/v2.ts";
export { FrozenSet, OrderedDict, Tuple, tuple } from "./python/collections.ts";
export { DateTime, PlainDate, PlainTime } from "./python/datetime.ts";
export { Decimal } from "./python/decimal.ts";
export { ExceptionValue } from "./python/exception-value.ts";
export { Float } from "./python/numbers.ts";
export { repr } from "./python/repr.ts";
export { argsRepr, saferepr } from "./python/saferepr.ts";
export { TimeDelta } from "./python/timedelta.ts";
export { UUID } from "./python/uuid.ts";
export * from "./result/compressed.ts";
export * from "./result/exception.ts";
export * from "./result/keys.ts";
export * from "./result/meta.ts";
export * from "./result/result-tuple.ts";
export * from "./result/states.ts";
export { authSerializer, type SignedContent, type Signing, unpackSigned } from "./serialization/auth.ts";
export { json } from "./serialization/json.ts";
export { loads, loadsForward } from "./serialization/json-reader.ts";
export { dumps } from "./serialization/json-writer.ts";
export { msgpack } from "./serialization/msgpack.ts";
export { type PickleOptions, pickle, pickleSerializer } from "./serialization/pickle.ts";
export { RawJson } from "./serialization/raw-json.ts";
export { SerializerRegistry } from "./serialization/registry.ts";
export { customSerializer, type Encoded, type Payload, type Serializer } from "./serialization/serializer.ts";
export { yaml } from "./serialization/yaml.ts";
export * as amqp from "./transport/amqp.ts";
export * from "./transport/entities.ts";
export * as filesystem from "./transport/filesystem.ts";
export * as redis from "./transport/redis.ts";
export * as virtual from "./transport/virtual.ts";
