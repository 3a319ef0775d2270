import type { Message } from "../../protocol/message/message.ts";
import type { DelayedDelivery } from "../../protocol/transport/delayed-delivery.ts";
import type { Exchange, Queue, Route } from "../../protocol/transport/entities.ts";
import type { Logger } from "../logger.ts";

/** What every transport is made from; taken from the settings by `adapters.ts`. */
export interface BrokerOptions {
  /** Tried in order when one cannot be reached. Passwords included. */
  urls: readonly string[];
  /** `brokerTransportOptions`: kombu's own names and units. */
  transportOptions: Readonly<Record<string, unknown>>;
  /** `brokerUseSsl`: true, or Python's ssl option names (`ssl_ca_certs`, `ca_certs`, `cert_reqs`…). */
  useSsl: boolean | Readonly<Record<string, unknown>>;
  /** Seconds that one attempt to connect may take. */
  connectionTimeout: number;
  /** Seconds between heartbeats on transports that have them; 0 for none. */
  heartbeat: number;
  /** `round-robin` tries the URLs in order, `shuffle` at random. */
  failoverStrategy: "round-robin" | "shuffle";
  /** What the server shows this connection as. */
  clientName: string;
  /**
   * Redis: false to bind queues as kombu before 5.7 does, without saying until when bindings are kept; true unless
   * given.
   */
  bindingDeadlines?: boolean;
  log: Logger;
}

/**
 * A connection to a message broker in kombu's model of exchanges, queues and bindings, which every transport has.
 *
 * Once connected, a broker looks after itself: it reconnects when the connection breaks (through all URLs, with
 * growing pauses, for as long as it is not closed), declares again what was declared and resumes its consumers.
 * It tells of it through {@link onStateChange} and the log. Nothing here throws into the event loop.
 */
export interface Broker extends AsyncDisposable {
  /** kombu's `driver_type`: `amqp`, `redis`, `filesystem`, `memory`. */
  readonly transport: string;
  /** The URL in use, its password masked. */
  readonly url: string;
  /** True while the server can be reached. */
  readonly connected: boolean;
  /** Called whenever `connected` changes; the error says why a connection broke. */
  onStateChange: ((connected: boolean, error?: Error) => void) | undefined;

  /**
   * Connects, trying each URL once. Does nothing when already connected; joins an attempt under way.
   * @throws OperationalError when no URL can be reached; the message names the URL (masked) and the reason
   */
  connect(signal?: AbortSignal): Promise<void>;

  /**
   * Declares a queue, its exchange and its bindings, once for each connection. A queue that exists with other
   * arguments is used as it is, and the log says which argument differs.
   * @throws OperationalError when the connection is lost meanwhile
   */
  declare(queue: Queue): Promise<void>;

  /**
   * Declares what keeps messages until their time, and lets queues have what comes out of it, once for each connection.
   * On RabbitMQ alone. Mirrors `celery/worker/consumer/delayed_delivery.py`.
   * @throws OperationalError when the connection is lost meanwhile, or the broker refuses
   */
  declareDelayedDelivery?(chain: DelayedDelivery, queues: readonly Queue[]): Promise<void>;

  /** Declares an exchange, once for each connection. */
  declareExchange(exchange: Exchange): Promise<void>;

  /**
   * Sends a message. Resolves once the broker has it: confirmed on AMQP, answered on Redis, renamed into its folder.
   * @param timeoutMs milliseconds from the call, after which the promise rejects whatever the broker does
   * @throws OperationalError when the broker does not have it, or nobody can know
   */
  publish(message: Message, route: Route, timeoutMs: number): Promise<void>;

  /**
   * Sends a message to all that listen on a fanout exchange.
   * @returns how many get it, where the transport tells; 0 is certain, undefined may be any number
   * @throws OperationalError as {@link publish} does
   */
  announce?(message: Message, exchange: string, timeoutMs: number): Promise<number | undefined>;

  /**
   * Starts delivering from queues, which are declared first.
   * @throws OperationalError when the connection is lost meanwhile
   */
  consume(queues: readonly Queue[], options: ConsumeOptions): Promise<Consumer>;

  /** Drops all messages that wait in a queue, and says how many there were. A queue that is not there has none. */
  purge(queue: string): Promise<number>;

  /** How many messages wait in a queue; 0 when it is not there. */
  size(queue: string): Promise<number>;

  /** Deletes a queue with its bindings and messages. */
  deleteQueue(queue: Queue): Promise<void>;

  /**
   * Sends what is under way, closes the consumers, hands back what they held, and lets go of every handle.
   * Safe to call twice. @param timeoutMs milliseconds after which it stops being polite; 5000 when left out
   */
  close(timeoutMs?: number): Promise<void>;
}

/** How a consumer takes messages. */
export interface ConsumeOptions {
  /** How many deliveries may be unsettled at a time; 0 for no limit. */
  prefetch: number;
  /**
   * How many more may be taken now, whatever the prefetch says: asked before each look, and again after
   * {@link Consumer.setPrefetch}. On Redis alone, where a consumer takes and is not given.
   */
  capacity?(): number;
  /** True when deliveries need no settling: mailboxes and events. */
  noAck?: boolean;
  /** Called for each message, in order. Must not throw. */
  onDelivery(delivery: Delivery): void;
  /**
   * Called for what lies in a queue and is no message (a Redis list's element that is no envelope, a broken file).
   * It has been taken out of the queue. Must not throw.
   */
  onUnreadable(unreadable: UnreadableMessage): void;
  /** Called when unsettled deliveries have become {@link Delivery.returned}. Must not throw. */
  onReturned?(): void;
}

/** Something in a queue that is no message. */
export interface UnreadableMessage {
  queue: string;
  /** As much of it as is worth showing. */
  text: string;
  error: Error;
}

/** One message in a consumer's hands, to be settled exactly once: by `ack` or by `reject`. */
export interface Delivery {
  readonly message: Message;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  /**
   * True when the broker has the message back, because the connection that it came by broke: it will be delivered
   * again, here or elsewhere. What has not begun with this delivery must not begin any more.
   */
  readonly returned: boolean;
  /**
   * Notes that work on a redelivered message begins. Resolves with how often it was begun as one before and not settled,
   * which is how often a worker was lost in the middle of it. Left out where the transport cannot count.
   */
  begin?(): Promise<number>;
  /**
   * The message is done. Settling is sent in the background, many at a time, and before the consumer closes. Nothing
   * happens when it was returned.
   */
  ack(): void;
  /** The message is not wanted: put back (at the end of the queue where the transport can choose), or dropped. */
  reject(options: { requeue: boolean }): void;
}

/** A consumer of some queues. */
export interface Consumer {
  /** Names of the queues it takes from. */
  readonly queues: readonly string[];
  /** How many deliveries are unsettled. */
  readonly unsettled: number;
  /** Changes the limit while it runs. */
  setPrefetch(prefetch: number): void;
  /** @throws OperationalError when the queue cannot be declared */
  addQueue(queue: Queue): Promise<void>;
  cancelQueue(queue: string): Promise<void>;
  /** Takes no more messages. Deliveries in hand can still be settled. */
  cancel(): Promise<void>;
  /** Cancels, sends what was settled, and hands back what was not, to be served next. */
  close(): Promise<void>;
}
