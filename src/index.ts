export type { Compatibility } from "../protocol/compatibility.ts";
export type { CeleryEvent } from "../protocol/event/event.ts";
export { FrozenSet, OrderedDict, Tuple, tuple } from "../protocol/python/collections.ts";
export { DateTime, PlainDate, PlainTime } from "../protocol/python/datetime.ts";
export { Decimal } from "../protocol/python/decimal.ts";
export { ExceptionValue } from "../protocol/python/exception-value.ts";
export { Float } from "../protocol/python/numbers.ts";
export { TimeDelta } from "../protocol/python/timedelta.ts";
export { UUID } from "../protocol/python/uuid.ts";
export type { ResultKeys } from "../protocol/result/keys.ts";
export type { TaskMeta } from "../protocol/result/meta.ts";
export type { ResultNode } from "../protocol/result/result-tuple.ts";
export type { State } from "../protocol/result/states.ts";
export { type PickleOptions, pickleSerializer } from "../protocol/serialization/pickle.ts";
export type { Payload, Serializer } from "../protocol/serialization/serializer.ts";
export type { TaskAnnotation } from "./app/annotations.ts";
export { Celery, type ControlFunction, type ControlState, type CurrentTask, type GivenSettings } from "./app/app.ts";
export { chain, chord, GroupSignature, group } from "./app/canvas.ts";
export { ValidationError } from "./app/contract.ts";
export { EagerResult } from "./app/eager-result.ts";
export {
  CeleryError,
  ChordError,
  ContentDisallowed,
  DecodeError,
  EncodeError,
  Ignore,
  ImproperlyConfigured,
  InflatedSizeExceeded,
  InvalidTaskError,
  MaxRetriesExceededError,
  NotImplementedError,
  NotRegistered,
  OperationalError,
  QueueNotFound,
  Reject,
  Retry,
  SecurityError,
  SerializerNotInstalled,
  SoftTimeLimitExceeded,
  TaskError,
  TaskRevokedError,
  Terminated,
  TimeLimitExceeded,
  TimeoutError,
  WorkerLostError,
} from "./app/errors.ts";
export type { QueueSetting } from "./app/queues.ts";
export { AsyncResult, type GetOptions, GroupResult } from "./app/result.ts";
export type { RouteFunction, RouteSetting } from "./app/router.ts";
export type { ApplyOptions, SendOptions } from "./app/send-options.ts";
export type { RetryPolicy, Settings } from "./app/settings.ts";
export type {
  ErrorInfo,
  ReceivedTask,
  Receiver,
  SignalEvents,
  SignalledMessage,
  SignalledWorker,
  SignalName,
  Signals,
} from "./app/signals.ts";
export { Signature } from "./app/signature.ts";
export type { RetryOptions, Self, Task, TaskOptions } from "./app/task.ts";
export type { TaskHooks } from "./app/task-hooks.ts";
export type { TaskLogger } from "./app/task-logger.ts";
export type { DeliveryInfo, TaskRequest as Request } from "./app/task-request.ts";
export type {
  BackendFactory,
  BackendOptions,
  ChordPart,
  ChordStore,
  ReadyChord,
  ReplyAddress,
  ResultBackend,
  ResultCodec,
} from "./backends/backend.ts";
export { KeyValueBackend, type StoredValue } from "./backends/key-value.ts";
export { Control, type ControlOptions, type TerminateOptions } from "./control/control.ts";
export { Inspect, type InspectOptions } from "./control/inspect.ts";
export type { Reply } from "./control/mailbox.ts";
export type { CommandInfo } from "./control/panel.ts";
export { Events } from "./events/events.ts";
export { type EventHandlers, EventReceiver, type ReceiverOptions } from "./events/receiver.ts";
export { State as EventState, type StateOptions, type TaskSeen, type WorkerSeen } from "./events/state.ts";
export type { Logger } from "./logger.ts";
export type { Worker } from "./worker/worker.ts";
export type { WorkerOptions } from "./worker/worker-options.ts";
