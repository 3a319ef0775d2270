/**
 * Every call of the public API, to be compiled and not to be run: against the sources by `npm run typecheck`, and
 * against the packed package in an empty project by `test/package`. What stands here may not stop compiling.
 */
import {
  type AsyncResult,
  type BackendFactory,
  type BackendOptions,
  Celery,
  CeleryError,
  ChordError,
  ContentDisallowed,
  type Control,
  chain,
  chord,
  DateTime,
  Decimal,
  DecodeError,
  type EagerResult,
  EncodeError,
  type ErrorInfo,
  Float,
  type GetOptions,
  type GivenSettings,
  type GroupResult,
  group,
  Ignore,
  type Inspect,
  KeyValueBackend,
  type Logger,
  MaxRetriesExceededError,
  NotRegistered,
  OperationalError,
  PlainDate,
  PlainTime,
  type QueueSetting,
  type Receiver,
  Reject,
  type Request,
  Retry,
  type RetryOptions,
  type RouteSetting,
  type Self,
  type SendOptions,
  type Settings,
  type SignalEvents,
  type SignalName,
  type Signals,
  type Signature,
  SoftTimeLimitExceeded,
  type State,
  type Task,
  TaskError,
  type TaskOptions,
  TaskRevokedError,
  TimeLimitExceeded,
  TimeoutError,
  UUID,
  ValidationError,
  type Worker,
  type WorkerOptions,
} from "celeriac";
import * as protocol from "celeriac/protocol";
import { z } from "zod";

class StorageIsAway extends Error {
  static readonly pythonName = "shop.errors.StorageIsAway";
  readonly args: string[];

  constructor(disk: string, cause: Error) {
    super(`${disk} is away`, { cause });
    this.args = [disk];
  }
}

const settings: GivenSettings = {
  broker: "redis://localhost/0",
  backend: "redis://localhost/0",
  taskDefaultQueue: "shop",
  task_acks_late: true,
  brokerTransportOptions: { visibility_timeout: 60 },
};

class MapBackend extends KeyValueBackend {
  readonly #values = new Map<string, Uint8Array>();

  constructor(options: BackendOptions) {
    super(options);
    options.log.debug({ prefix: this.keys.task("") }, options.url);
  }

  protected async get(key: string): Promise<Uint8Array | undefined> {
    return this.#values.get(key);
  }

  protected async set(key: string, value: Uint8Array, _expires: number): Promise<void> {
    this.#values.set(key, value);
  }

  protected async delete(key: string): Promise<void> {
    this.#values.delete(key);
  }
}

const makeMap: BackendFactory = (options) => new MapBackend(options);
export const ownBackend = new Celery("shop", { backend: "map://", overrideBackends: { map: makeMap } });

export const app: Celery = new Celery("shop", settings);
export const bare = new Celery("bare");

// Tasks that this side serves.

const add: Task<[x: number, y: number], number> = app.task("tasks.add", (x: number, y: number) => x + y);
const mul = app.task("tasks.mul", async (x: number, y: number) => x * y);

const everyOption: TaskOptions = {
  name: "tasks.every_option",
  parameters: ["x", "y"],
  acksLate: true,
  rejectOnWorkerLost: true,
  autoretryFor: [StorageIsAway, RangeError],
  dontAutoretryFor: [TypeError],
  retryBackoff: true,
  retryBackoffMax: 60,
  retryJitter: false,
  maxRetries: null,
  defaultRetryDelay: 1,
  softTimeLimit: 5,
  timeLimit: 10,
  ignoreResult: false,
  trackStarted: true,
  rateLimit: "10/s",
  throws: [StorageIsAway],
  queue: "celery",
  priority: 3,
  serializer: "json",
  trail: false,
  storeEagerResult: true,
  beforeStart(taskId: string, args: unknown[], kwargs: Record<string, unknown>) {
    return [this.request.id === taskId, args, kwargs];
  },
  onSuccess: async (retval, taskId) => [retval, taskId],
  onFailure: (exc, taskId, args, kwargs, einfo: ErrorInfo) => [exc, taskId, args, kwargs, einfo.traceback],
  onRetry: (exc, _taskId, _args, _kwargs, einfo) => [exc, einfo?.exception],
  afterReturn: (status: string, retval: unknown) => [status, retval],
};
const every = app.task(everyOption, (x: number, y = 2): string => `${x}${y}`);
app.task({ ...everyOption, rateLimit: 5, retryBackoff: 2, maxRetries: 5, bind: false }, () => undefined);

const resize = app.task(
  {
    name: "images.resize",
    params: z.object({ url: z.string(), width: z.number().int().default(200) }),
    returns: z.string(),
    acksLate: true,
    autoretryFor: [StorageIsAway],
  },
  async ({ url, width }, self) => {
    const given: { url: string; width: number } = { url, width };
    await self.updateState({ state: "PROGRESS", meta: { done: 0.5 } });
    return `${given.url}?w=${given.width}`;
  },
);

export const slow: Task<[seconds: number], string> = app.task(
  { name: "tasks.slow", bind: true, maxRetries: 3 },
  async (self: Self, seconds: number) => {
    const signal: AbortSignal = self.signal;
    const name: string = self.name;
    const request: Request = self.request;
    await self.updateState({ state: "PROGRESS" });
    await self.sendEvent("task-progress", { done: 1 });
    self.log.info({ done: 1 }, "half way");
    if (request.retries === 0) throw self.retry({ countdown: seconds, maxRetries: 3, exc: new Error("again") });
    if (request.retries === 1) throw self.retry();
    if (request.isEager) throw self.replace(add.s(1, 2));
    return signal.aborted ? name : request.id;
  },
);

/** Signals by Celery's names, with what each tells. */
export async function listen(): Promise<void> {
  const signals: Signals = app.signals;
  const onFailure: Receiver<"task_failure"> = ({ sender, taskId, exception, einfo }) =>
    app.log.error({ err: exception, taskId }, `${sender} ${einfo.traceback}`);
  signals.connect("task_failure", onFailure, { sender: "tasks.add" });
  const known: boolean = signals.disconnect("task_failure", onFailure);
  signals.connect("before_task_publish", async ({ headers, properties }) => {
    Object.assign(headers, properties, { known });
  });
  signals.connect("worker_ready", ({ instance }) => app.log.info(instance.hostname));
  const name: SignalName = "task_prerun";
  const event: SignalEvents["task_postrun"] | undefined = undefined;
  app.log.debug({ name, event }, "connected");
}

/** Tasks in place. */
export async function inPlace(): Promise<number> {
  const result: EagerResult<number> = await add.apply([1, 2], { throw: true, retries: 1, kwargs: {} });
  const chained: AsyncResult<number> = await add.s(1, 2).apply();
  return (await result.get()) + (await chained.get());
}

/** Every field of the request, with its type. */
export function readRequest(request: Request): unknown[] {
  const text: string[] = [request.id, request.rootId, request.correlationId, request.hostname, request.origin];
  const texts: (string | null)[] = [request.parentId, request.group, request.replyTo];
  const counts: (number | null)[] = [request.retries, request.groupIndex, ...request.timelimit];
  const { exchange, routingKey, priority, redelivered } = request.deliveryInfo;
  const delivery: [string, string, number | null, boolean] = [exchange, routingKey, priority, redelivered];
  const eager: boolean = request.isEager;
  const headers: Record<string, unknown> = request.headers;
  const tenant: string = request.headers.tenant;
  const args: unknown[] = request.args;
  const kwargs: Record<string, unknown> = request.kwargs;
  return [text, texts, counts, delivery, eager, headers, tenant, args, kwargs, request.eta, request.expires];
}

app.task("tasks.steer", (way: "ignore" | "reject" | "requeue") => {
  if (way === "ignore") throw new Ignore();
  if (way === "reject") throw new Reject("not for us");
  throw new Reject("later", true);
});

// Tasks that somebody else serves.

const remote = app.remote<[x: number, y: number], number>("tasks.mul");
const remoteWithOptions = app.remote<[values: number[]], number>("tasks.tsum", { queue: "py", priority: 1 });
const remoteOfAnything: Task = app.remote("tasks.anything");

// Wrong calls that the compiler finds.

export function wrongCalls(): unknown[] {
  return [
    // @ts-expect-error a wrong type
    add.delay("2", 2),
    // @ts-expect-error one too few
    add.delay(2),
    // @ts-expect-error one too many
    remote.delay(1, 2, 3),
    // @ts-expect-error the contract wants a url
    resize.delay({ width: 3 }),
    // @ts-expect-error a queue is given by name
    add.applyAsync([1, 2], { queue: 3 }),
    // @ts-expect-error a chain is made of signatures, not of tasks
    chain(add, mul),
  ];
}

export async function send(): Promise<void> {
  const result: AsyncResult<number> = await add.delay(2, 2);
  const inPlace: number = await add(2, 2);
  const text: AsyncResult<string> = await every.delay(1);
  await resize.delay({ url: "a.png" });
  await resize.applyAsync({ url: "a.png", width: 80 }, { countdown: 1 });
  await resize.applyAsync(["a.png", 80]);
  await slow.delay(inPlace);
  await remote.delay(2, 2);
  await remoteWithOptions.delay([1, 2]);
  await remoteOfAnything.delay(1, "two", { three: 3 });

  const options: SendOptions = {
    kwargs: { y: new Float(2) },
    countdown: 1.5,
    eta: new Date(0),
    expires: 60,
    queue: "celery",
    exchange: "celery",
    routingKey: "celery",
    priority: 5,
    link: mul.s(3),
    linkError: [remoteOfAnything.si("failed")],
    headers: { "x-trace": "1" },
    taskId: "0a9b3b6e-4a0f-4a52-9b37-8f1f6c3cbb7c",
    ignoreResult: false,
    timeLimit: 60,
    softTimeLimit: 30,
    serializer: "json",
    compression: "gzip",
    shadow: "sum",
    retry: false,
  };
  await add.applyAsync([2], options);
  await add.applyAsync([2, 2], { expires: new Date(), link: [mul.s(3), mul.s(4)], linkError: add.si(1, 1) });
  await add.applyAsync();
  const byName: AsyncResult = await app.sendTask("tasks.add", [4, 4], { kwargs: {}, queue: "celery" });
  await app.sendTask("tasks.noop");
  await readResult(result);
  await readResult(text);
  await readResult(byName);
  await readResult(app.asyncResult<number>(result.id));
  await readResult(app.asyncResult("an-id"));
}

export async function readResult<R>(result: AsyncResult<R>): Promise<R> {
  const id: string = result.id;
  const parent: AsyncResult | null = result.parent;
  const state: State = await result.state();
  const flags: boolean[] = [await result.ready(), await result.successful(), await result.failed()];
  const info: unknown = await result.info();
  const children: AsyncResult[] = await result.children();
  const traceback: string | null = await result.traceback();
  await result.revoke();
  await result.revoke({ terminate: true, signal: "SIGKILL" });
  await result.forget();
  const options: GetOptions = { timeout: 10, signal: AbortSignal.timeout(1000), propagate: false };
  const value: R = await result.get(options);
  void [id, parent, state, flags, info, children, traceback, value];
  return result.get();
}

// Signatures.

export async function canvas(): Promise<void> {
  const sig: Signature<number> = add.s(2, 2);
  const immutable: Signature<number> = add.si(2, 2);
  const composed: Signature<number> = sig
    .set({ queue: "celery", countdown: 1 })
    .link(mul.s(2))
    .onError(remoteOfAnything.s())
    .stamp({ customer: "A-1" });
  const piped: Signature<number> = composed.pipe(mul.s(3)).pipe(immutable);
  const sent: AsyncResult<number> = await piped.delay();
  await piped.delay(1);
  await piped.applyAsync([1], { priority: 1 });
  await piped.applyAsync();

  const mapped: Signature<number[]> = remoteWithOptions.map([[1, 2], [3]]);
  const starmapped: Signature<number[]> = add.starmap([
    [1, 2],
    [3, 4],
  ]);
  const chunked: Signature<number[][]> = add.chunks(
    [
      [1, 2],
      [3, 4],
    ],
    2,
  );
  await Promise.all([mapped.delay(), starmapped.delay(), chunked.delay()]);

  const inARow: Signature<number> = chain<number>(add.s(2, 2), mul.s(4));
  const fromArray = chain<number>([add.s(2, 2), mul.s(4)]);
  await (await inARow.applyAsync()).get({ timeout: 10 });
  await fromArray.delay();

  const sideBySide = group<number>(add.s(1, 1), mul.s(2, 2));
  const results: GroupResult<number> = await sideBySide.applyAsync();
  await sideBySide.applyAsync([1], { queue: "celery" });
  const again: GroupResult<number> = await group<number>([add.s(1, 1), mul.s(2, 2)])
    .set({ queue: "celery" })
    .delay();
  const numbers: number[] = await results.get({ timeout: 10 });
  const members: AsyncResult<number>[] = again.results;
  const completed: number = await again.completedCount();

  const joined: Signature<number> = chord([add.s(1, 1), mul.s(2, 2)], remoteWithOptions.s());
  const total: number = await (await joined.applyAsync()).get();
  await chord(sideBySide, remoteWithOptions.s()).delay();
  void [sent, numbers, members, completed, total];
}

// Errors.

export function readError(error: unknown): string {
  if (error instanceof TaskError) {
    const told: [string, string, unknown[], string | null] = [error.type, error.module, error.args, error.traceback];
    return told.join(" ");
  }
  if (error instanceof CeleryError) {
    const code: string = error.code;
    return `${code}: ${error.message} ${error.cause}`;
  }
  return String(error);
}

/** The classes that code outside compares with. */
export const errorClasses: (abstract new (...args: never[]) => Error)[] = [
  CeleryError,
  ChordError,
  ContentDisallowed,
  DecodeError,
  EncodeError,
  Ignore,
  MaxRetriesExceededError,
  NotRegistered,
  OperationalError,
  Reject,
  Retry,
  SoftTimeLimitExceeded,
  TaskError,
  TaskRevokedError,
  TimeLimitExceeded,
  TimeoutError,
  ValidationError,
];
export const timeout: CeleryError = new TimeoutError("too slow");
export const softLimit: CeleryError = new SoftTimeLimitExceeded();

// Values that Python has and JavaScript lacks.

export const values: unknown[] = [
  new Float(1),
  new Decimal("1.10"),
  new UUID("0a9b3b6e-4a0f-4a52-9b37-8f1f6c3cbb7c"),
  new DateTime("2026-01-02T03:04:05.000006+00:00"),
  new PlainDate("2026-01-02"),
  new PlainTime("03:04:05"),
];

// Control.

export async function control(): Promise<void> {
  const commands: Control = app.control;
  const pongs: Record<string, { ok: string }>[] = await commands.ping();
  await commands.ping({ timeout: 2, destination: ["celery@host"] });
  await commands.revoke("id");
  await commands.revoke(["id", "other"], { terminate: true, signal: "SIGKILL" });
  await commands.rateLimit("tasks.add", "10/m");
  await commands.rateLimit("tasks.add", 10, { reply: true, timeout: 1, destination: ["celery@host"] });
  const asked: Inspect = commands.inspect({ timeout: 1, destination: ["celery@host"] });
  const active: Record<string, unknown> | null = await commands.inspect().active();
  const [task] = (await commands.inspect().active())["celery@host"];
  await Promise.all([asked.ping(), asked.registered(), asked.stats(), asked.activeQueues()]);
  await Promise.all([asked.scheduled(), asked.reserved(), asked.revoked()]);
  void [pongs, active, task];
}

// Workers, and the end.

export async function work(): Promise<void> {
  const options: WorkerOptions = { concurrency: 10, queues: ["celery"], pool: "async", hostname: "inner@host" };
  const worker: Worker = app.worker(options);
  await worker.start();
  await worker.stop();
  await app.worker().start();
  await app.close();
  await bare[Symbol.asyncDispose]();
  await using scoped = new Celery("scoped", { broker: "memory://", backend: "memory://" });
  const disposable: AsyncDisposable = scoped;
  void disposable;
}

// The types that have names.

export const log: Logger = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };
export const queue: QueueSetting = { name: "media" };
export const route: RouteSetting = { "media.*": { queue: "media" } };
export const retryOptions: RetryOptions = { countdown: 1, kwargs: { x: 1 }, args: [1], queue: "slow" };
export const someSettings: Partial<Settings> = { taskAcksLate: true };

// The other door: formats without a worker.

export function formats(): unknown {
  const registry = new protocol.SerializerRegistry();
  const { body }: protocol.Encoded = registry.encode([[1, 2], {}, {}], "json");
  const read: unknown = protocol.loads(new TextDecoder().decode(body));
  const names: protocol.redis.RedisNames = protocol.redis.redisNames();
  const data: protocol.SignatureData = protocol.signature("tasks.add", [1, 2], {}, {});
  return [read, names, data, protocol.READY_STATES.has("SUCCESS"), protocol.dumps({ x: 1 }), protocol.repr("text")];
}
