/**
 * A message as every transport carries it. The names inside `headers` and `properties` are those of the wire:
 * `correlation_id`, `delivery_mode`.
 */
export interface Message {
  readonly headers: Record<string, unknown>;
  readonly properties: MessageProperties;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
}

/** AMQP's basic properties that Celery uses; the virtual transports add their own. */
export interface MessageProperties {
  correlation_id?: string | null;
  reply_to?: string | null;
  /** 1 transient, 2 persistent. */
  delivery_mode?: number;
  priority?: number | null;
  /** Milliseconds as text, after which the broker drops the message. */
  expiration?: string | null;
  [name: string]: unknown;
}
