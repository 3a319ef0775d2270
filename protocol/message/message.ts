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

/** Where the sender of a task waits for its result; no queue for one that does not. */
export interface ReplyAddress {
  replyTo: string | null;
  correlationId: string;
}

/** The reply address in a message's properties, which may hold anything: what is no text is taken for none. */
export function replyAddress({ reply_to, correlation_id }: MessageProperties, taskId: string): ReplyAddress {
  return {
    replyTo: typeof reply_to === "string" ? reply_to || null : null,
    correlationId: typeof correlation_id === "string" ? correlation_id || taskId : taskId,
  };
}
