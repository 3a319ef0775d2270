import { ContentDisallowed, DecodeError, InvalidTaskError, SerializerNotInstalled } from "../../protocol/errors.ts";
import { type Embed, readBody, type TaskBody } from "../../protocol/message/embed.ts";
import { readHeaders, type TaskHeaders } from "../../protocol/message/headers.ts";
import type { Message } from "../../protocol/message/message.ts";
import { isHybridBody, mayBeHybrid, readTaskV1, type TaskMessageV1 } from "../../protocol/message/v1.ts";
import type { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import type { Encoded } from "../../protocol/serialization/serializer.ts";
import { decompress } from "../compression/compression.ts";
import type { WorkerContext } from "./context.ts";

/** Reads the bodies of task messages. */
export class BodyReader {
  readonly #serializers: SerializerRegistry;
  readonly #accept: ReadonlySet<string>;
  readonly #sizeLimit: number | null;

  /** @throws SerializerNotInstalled when `acceptContent` names a serializer that is none */
  constructor({ serializers, settings }: Pick<WorkerContext, "serializers" | "settings">) {
    this.#serializers = serializers;
    this.#accept = serializers.accept(settings.acceptContent);
    this.#sizeLimit = settings.inflatedSizeLimit;
  }

  /** The body of a message of protocol 2, or of the hybrid form. @throws DecodeError, ContentDisallowed, InvalidTaskError */
  async read(message: Message): Promise<TaskBody> {
    return this.#body(await this.#decode(message, false), message);
  }

  /**
   * The body's parts for being sent on: every value as it came, whatever JavaScript would have made of it.
   * @throws DecodeError, ContentDisallowed, InvalidTaskError
   */
  async readForward(message: Message): Promise<TaskBody> {
    return this.#body(await this.#decode(message, true), message);
  }

  /** The same of a task, whose body may have been read before. */
  async forwardOf({
    body,
    delivery,
  }: {
    body: TaskBody | undefined;
    delivery: { message: Message };
  }): Promise<TaskBody> {
    return body ?? this.readForward(delivery.message);
  }

  /** A message without task headers: protocol 1, if anything. @throws DecodeError, ContentDisallowed */
  async readAny(message: Message): Promise<unknown> {
    return this.#decode(message, false);
  }

  /** @throws InvalidTaskError */
  readV1(body: Record<string, unknown>, message: Message): TaskMessageV1 {
    return readTaskV1(body, message.headers);
  }

  /**
   * A message of whichever protocol, headers and body.
   * @param forward as {@link readForward} reads it
   * @throws DecodeError, ContentDisallowed, InvalidTaskError
   */
  async readTask(message: Message, forward = false): Promise<{ headers: TaskHeaders; body: TaskBody }> {
    const { headers } = message;
    const value = await this.#decode(message, forward);
    if (headers.task === undefined || (mayBeHybrid(headers) && isHybridBody(value))) {
      return this.readV1(value as Record<string, unknown>, message);
    }
    return { headers: readHeaders(headers), body: this.#body(value, message) };
  }

  #body(value: unknown, message: Message): TaskBody {
    return isHybridBody(value) ? this.readV1(value, message).body : readBody(value);
  }

  async #decode(message: Message, forward: boolean): Promise<unknown> {
    const { compression } = message.headers;
    const content: Encoded =
      typeof compression === "string" && compression !== ""
        ? { ...message, body: await decompress(message.body, compression, this.#sizeLimit) }
        : message;
    return this.#serializers.decode(content, this.#accept, forward);
  }
}

/** True when nothing follows the task: then nobody has to read its body a second time. */
export function isEmpty(embed: Embed): boolean {
  return embed.callbacks === null && embed.errbacks === null && embed.chain === null && embed.chord === null;
}

/** What is wrong with the message itself, and will be so however often it is tried. */
const UNREADABLE = [ContentDisallowed, DecodeError, InvalidTaskError, SerializerNotInstalled];

/** Whether an error says that a message cannot be used. */
export function isUnreadable(error: unknown): boolean {
  return UNREADABLE.some((type) => error instanceof type);
}
