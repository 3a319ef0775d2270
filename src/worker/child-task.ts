import type { Message } from "../../protocol/message/message.ts";
import type { ResultTuple } from "../../protocol/result/result-tuple.ts";
import { loads } from "../../protocol/serialization/json-reader.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { Encoded } from "../../protocol/serialization/serializer.ts";
import type { Settings } from "../app/settings.ts";
import type { Delivery } from "../brokers/broker.ts";
import type { TaskEnd } from "./task-end.ts";

/** A task on its way to a pool's child: its message as it came, which the child reads for itself, as Celery's does. */
export interface ChildTask {
  /** Headers and properties as JSON text: what they hold is no matter of structured clones. */
  readonly envelope: string;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly queue: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  /** The worker's node name. */
  readonly hostname: string;
  /** Whether somebody takes the result: the backend, or what follows the task. */
  readonly resultWanted: boolean;
}

/** An error that ended a task in a child, as it is stored. */
export interface ChildError {
  readonly stored: Encoded;
  readonly traceback: string;
}

/** How a task ended in a child. */
export type ChildEnd =
  /** `repr`: of the value, for logs and events. */
  | { readonly kind: "success"; readonly value: Encoded | null; readonly repr: string }
  | { readonly kind: "failure"; readonly error: ChildError; readonly expected: boolean }
  | {
      readonly kind: "retry";
      readonly text: string;
      readonly exc: ChildError | null;
      readonly options: Encoded;
      /** What of the options a serializer would change. */
      readonly times: { readonly eta?: Date; readonly expires?: Date };
    }
  | { readonly kind: "replaced"; readonly signature: Encoded }
  | { readonly kind: "rejected"; readonly reason: string | null; readonly requeue: boolean }
  | { readonly kind: "ignored" };

/** What a child answers. */
export interface ChildResult {
  readonly end: ChildEnd;
  readonly children: ResultTuple[];
}

/** What a task in a child asks of the worker: to store a state; or to do what is to be done at its end, and to say what came of it. */
export type ToWorker = { readonly state: string; readonly meta: Encoded } | { readonly ended: ChildResult };

/** What came of a task, for its hooks. `error`: what made it fail in the end, where the child does not know. */
export interface ChildVerdict {
  readonly state: TaskEnd["state"];
  readonly error: ChildError | null;
}

/** The child's last word, after a verdict. `reject`: what a hook threw. */
export interface ChildTold {
  readonly reject: { readonly reason: string | null; readonly requeue: boolean } | null;
}

/** What a worker says to a running task. */
export type ToTask = { readonly abort: "soft" | "terminated"; readonly reason: string };

/** @param resultWanted see {@link ChildTask.resultWanted} */
export function childTask(delivery: Delivery, hostname: string, resultWanted: boolean): ChildTask {
  const { headers, properties, contentType, contentEncoding, body } = delivery.message;
  return {
    envelope: dumps([headers, properties]),
    // A copy: of a view into a larger buffer, all of the buffer would be sent.
    body: new Uint8Array(body),
    contentType,
    contentEncoding,
    queue: delivery.queue,
    exchange: delivery.exchange,
    routingKey: delivery.routingKey,
    redelivered: delivery.redelivered,
    hostname,
    resultWanted,
  };
}

/** The delivery as it looks in the child, where nothing can be settled. */
export function childDelivery(task: ChildTask): Delivery {
  const [headers, properties] = loads(task.envelope) as [Message["headers"], Message["properties"]];
  const { contentType, contentEncoding, body, queue, exchange, routingKey, redelivered } = task;
  return {
    message: { headers, properties, contentType, contentEncoding, body },
    queue,
    exchange,
    routingKey,
    redelivered,
    returned: false,
    ack() {},
    reject() {},
  };
}

/** Takes values from a child to its worker so that what the worker writes is what the child would have written. */
export class Passage {
  readonly #serializers: SerializerRegistry;
  readonly #result: string;
  readonly #task: string;

  constructor(serializers: SerializerRegistry, { resultSerializer, taskSerializer }: Settings) {
    this.#serializers = serializers;
    this.#result = resultSerializer;
    this.#task = taskSerializer;
  }

  /** A value to be stored. @throws EncodeError */
  result(value: unknown): Encoded {
    return this.#serializers.encode(value, this.#result);
  }

  /** A value to be sent. @throws EncodeError */
  call(value: unknown): Encoded {
    return this.#serializers.encode(value, this.#task);
  }

  read(encoded: Encoded): unknown {
    // What is kept as the text that came can be written as the same kind of text only.
    return this.#serializers.decode(encoded, null, this.#result === this.#task);
  }
}
