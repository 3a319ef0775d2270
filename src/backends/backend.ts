import type { MetaRequest, TaskMeta } from "../../protocol/result/meta.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import type { Encoded } from "../../protocol/serialization/serializer.ts";
import type { Broker } from "../brokers/broker.ts";
import type { Logger } from "../logger.ts";
import type { AlwaysRetry } from "./retries.ts";

/** What every backend is made from; taken from the settings by `adapters.ts`. */
export interface BackendOptions {
  url: string;
  /** `resultBackendTransportOptions`: Celery's own names and units. */
  transportOptions: Readonly<Record<string, unknown>>;
  useSsl: boolean | Readonly<Record<string, unknown>>;
  /** Seconds until a result is dropped; null or 0 for never. */
  expires: number | null;
  /** Seconds until a failed result is dropped; null for the same as any other. */
  failureExpires: number | null;
  /** Seconds until the keys of a chord under way are dropped; null for `expires`. */
  chordExpires: number | null;
  connectionTimeout: number;
  clientName: string;
  /** For backends that send results: the application's connection to publish by, connected. */
  broker(): Promise<Broker>;
  /** The address of this process, where results sent to it arrive: the name of its queue on `rpc://`. */
  replyTo: string;
  /** `resultPersistent`: whether results that are sent outlive the broker; null for the backend's own default. */
  resultPersistent: boolean | null;
  /** Whether the queue for results is durable: from Celery 5.7 on, and a fleet must agree. */
  replyQueueDurable: boolean;
  /** False to count the parts of chords as Celery before 5.7 does: without claims and marks; true unless given. */
  chordClaims?: boolean;
  /** The `redis_` settings: what the URL leaves open, and how long to wait. */
  redis: RedisSettings;
  /** `result_backend_always_retry` and what belongs to it; null when it is off. */
  alwaysRetry: AlwaysRetry | null;
  /** For results in memcached: `cacheBackendOptions`, in the words of pymemcache. */
  cacheOptions: Readonly<Record<string, unknown>>;
  /** For results in MongoDB: `mongodbBackendSettings`, Celery's words. */
  mongodb: Readonly<Record<string, unknown>>;
  /** For results in a database. */
  database: DatabaseSettings;
  codec: ResultCodec;
  log: Logger;
}

/**
 * Makes a backend of one's own from its URL and the settings. It connects when it is first needed.
 * @throws ImproperlyConfigured when the URL or an option cannot be used
 */
export type BackendFactory = (options: BackendOptions) => ResultBackend | Promise<ResultBackend>;

/** The `redis_` settings; null for what is not given. Durations are seconds. */
export interface RedisSettings {
  readonly host: string | null;
  readonly port: number | null;
  /** For `redis` alone: a URL says its own database, or means 0. */
  readonly db: number | null;
  readonly username: string | null;
  readonly password: string | null;
  /** How long an answer may take before the connection counts as lost; null or 0 for ever. */
  readonly socketTimeout: number | null;
  /** How long connecting may take; `connectionTimeout` unless given. */
  readonly socketConnectTimeout: number | null;
  /** How often a connection is asked for a sign of life; null or 0 for never. */
  readonly healthCheckInterval: number | null;
  /** What `CLIENT LIST` shows. */
  readonly clientName: string | null;
}

/** The `database_` settings, and what belongs to them. */
export interface DatabaseSettings {
  /** Names in the place of `celery_taskmeta` (`task`) and `celery_tasksetmeta` (`group`). */
  tableNames: DatabaseNames;
  /** Schemas of the two, which have to be there; the connection's own unless given. */
  tableSchemas: DatabaseNames;
  /** Missing tables are made when the backend is, not when it is first used. */
  createTablesAtSetup: boolean;
  /** SQLAlchemy's words. */
  engineOptions: Readonly<Record<string, unknown>>;
  /** A connection for every call, and no prepared statements: for poolers in between. */
  shortLivedSessions: boolean;
  /** Results are written as Celery up to 5.6 reads them: as pickles. */
  pickled: boolean;
}

/** Something for each of the two tables. */
export interface DatabaseNames {
  readonly task?: string | undefined;
  readonly group?: string | undefined;
}

/** Turns records into the bytes of `resultSerializer` and back. */
export interface ResultCodec {
  readonly contentType: string;
  readonly contentEncoding: string;
  /** @throws EncodeError when the serializer cannot write the value */
  encode(value: unknown): Uint8Array;
  /** @throws DecodeError, ContentDisallowed */
  decode(bytes: Uint8Array): unknown;
  /** Reads values that are only handed on, keeping what JavaScript would change. @throws as `decode` */
  decodeForward(bytes: Uint8Array): unknown;
  /** Reads content that says itself what it is. @param forward as `decodeForward` @throws DecodeError, ContentDisallowed */
  decodeContent(content: Encoded, forward?: boolean): unknown;
  /**
   * Reads a pickle by the application's own serializer for them, whatever is accepted: what is a pickle in any case,
   * such as a database's rows up to Celery 5.6. Nothing in it is executed. @throws DecodeError
   */
  decodePickle(bytes: Uint8Array): unknown;
  /**
   * The bytes to store where any bytes can be stored: compressed by `resultCompression`.
   * @throws EncodeError when the serializer cannot write the value
   */
  pack(value: unknown): Promise<Uint8Array>;
  /**
   * Undoes what `pack` did, by whatever method the bytes say, for `decode` to read. Bytes that are not compressed are
   * given back at once.
   * @throws DecodeError, also when they inflate beyond `inflatedSizeLimit`; SerializerNotInstalled
   */
  unpack(stored: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** Where the sender of a task wants its result, on backends that send results. */
export interface ReplyAddress {
  replyTo: string | null;
  correlationId: string | null;
}

/**
 * Where results are kept. Results are records of one task each; see {@link TaskMeta}.
 *
 * A backend connects when it is first needed, and again when its connection broke: a call meanwhile waits up to its
 * connection timeout, then throws OperationalError.
 */
export interface ResultBackend extends AsyncDisposable {
  /** The URL, its password masked. */
  readonly url: string;
  /** False when results do not outlive whoever waits for them: `rpc://`, `disabled`. */
  readonly persistent: boolean;
  /** Whether it uses the codec's `pack`: Celery's `supports_result_compression`. */
  readonly supportsResultCompression: boolean;
  /**
   * Whether `storeResult` waits out a backend that is away, by a policy of its own; otherwise whoever stores tries again.
   */
  readonly retriesStoring?: boolean;
  /** Joining of chords; undefined for a backend that leaves it to the task `celery.chord_unlock`. */
  readonly chords: ChordStore | undefined;
  /** @throws NotImplementedError on a backend whose results nobody but their receiver can look for. */
  ensureChordsAllowed?(): void;

  /**
   * Stores a record, unless a SUCCESS is there already: that is final.
   * @param request what the record was made from, for backends that keep more of it
   * @throws EncodeError when the serializer cannot write it (nothing was stored); OperationalError
   */
  storeResult(meta: TaskMeta, reply: ReplyAddress, request?: MetaRequest): Promise<void>;

  /** The record of a task; its status is PENDING when there is none. @throws OperationalError, DecodeError */
  getTaskMeta(taskId: string): Promise<TaskMeta>;

  /**
   * Resolves with the record once the task is over. Any number may wait at a time, at a cost that does not grow
   * with the number of others; a lost connection makes none of them miss its result.
   * @param onState told of each record before the last one
   * @throws the signal's reason when it aborts, leaving nothing behind
   */
  wait(taskId: string, signal: AbortSignal, onState?: (meta: TaskMeta) => void): Promise<TaskMeta>;

  /** Drops the record of a task. */
  forget(taskId: string): Promise<void>;

  /** Called before a task is sent whose result is wanted; `rpc://` declares its reply queue. */
  prepare?(): Promise<void>;
  /** Where the results of tasks sent from here should go: `reply_to`. Undefined where it does not matter. */
  readonly replyTo?: string;

  saveGroup(group: ResultNode): Promise<void>;
  /** The members of a saved group, or null. */
  restoreGroup(groupId: string): Promise<ResultNode | null>;
  deleteGroup(groupId: string): Promise<void>;

  /**
   * Drops records and saved groups of what ended longer than `expires` before `now`, and nothing when they never
   * expire. Called for the task `celery.backend_cleanup`, and by applications; left out by backends whose results are
   * dropped without it, such as Redis. Mirrors `celery/backends/base.py Backend.cleanup`.
   * @throws OperationalError
   */
  cleanup?(now: Date): Promise<void>;

  /** Closes; what still waits rejects with an OperationalError. Safe to call twice. */
  close(): Promise<void>;
}

/** A part of a chord that ended. */
export interface ChordPart {
  groupId: string;
  taskId: string;
  /** The part's place among the results; null puts it last. */
  groupIndex: number | null;
  state: string;
  /** In its stored form. */
  result: unknown;
  /** How many parts there are where nobody called `setSize`: a sender of Celery 5.0 says it in the body. */
  size?: number | undefined;
}

/** How one backend keeps count of a chord's parts. */
export interface ChordStore {
  /** Says how many parts there are. The last thing done before the header's last task is sent. */
  setSize(groupId: string, size: number): Promise<void>;
  /**
   * Told of a header before the first of its tasks is sent. Its structure has to be kept where its results are not all
   * single tasks.
   * @param size as `setSize` will be told
   */
  saveHeader(header: ResultNode, size: number): Promise<void>;
  /** One more part, added by a running header task. */
  addPart(groupId: string): Promise<void>;
  /**
   * Records that a part ended.
   * @returns the chord when this was the last part and it falls to the caller to run the body; else null
   * @throws ChordError when the chord cannot be joined any more: its body is the caller's to fail; OperationalError
   */
  partReturned(part: ChordPart): Promise<ReadyChord | null>;
}

/** A chord whose parts have all ended. Its body is the caller's to send. */
export interface ReadyChord {
  /** The parts' records, in order. Null when the header was saved by `saveHeader`: then join what `header` names. */
  readonly parts: readonly { taskId: string; state: string; result: unknown }[] | null;
  readonly header: ResultNode | null;
  /** Holds on to the right to send the body. @returns false when another worker has taken it over */
  extendClaim(seconds: number): Promise<boolean>;
  /** The body was sent: drops the chord's keys. */
  done(): Promise<void>;
  /** The body was failed in its place: a part that comes again must not fail it again. */
  failed(): Promise<void>;
}
