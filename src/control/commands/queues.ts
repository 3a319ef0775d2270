import { z } from "zod";
import type { Exchange, Queue } from "../../../protocol/transport/entities.ts";
import { type Command, command, ok } from "../panel.ts";
import { text } from "./readers.ts";

/** Commands about the queues that a worker takes from. */
export const QUEUE_COMMANDS: readonly Command[] = [
  command(
    {
      type: "control",
      name: "add_consumer",
      help: "Tell worker(s) to consume from task queue by name.",
      signature: "<queue> [exchange [type [routing_key]]]",
      args: [
        ["queue", text],
        ["exchange", text],
        ["exchange_type", text],
        ["routing_key", text],
      ],
      params: z.object({
        queue: z.string().min(1),
        exchange: z.string().nullish(),
        exchange_type: z.enum(["direct", "topic", "fanout"]).nullish(),
        routing_key: z.string().nullish(),
      }),
    },
    async ({ queues, consumer, log }, { queue: name, exchange, exchange_type, routing_key }) => {
      const queue = queues.has(name)
        ? queues.get(name)
        : queues.add({
            name,
            exchange: exchange ?? name,
            exchangeType: exchange_type ?? "direct",
            routingKey: routing_key ?? name,
          });
      if (!consumer.queues.includes(name)) {
        await consumer.addQueue(queue);
        log.info({ queue: name }, `Started consuming from ${name}`);
      }
      return ok(`add consumer ${name}`);
    },
  ),
  command(
    {
      type: "control",
      name: "cancel_consumer",
      help: "Tell worker(s) to stop consuming from task queue by name.",
      signature: "<queue>",
      args: [["queue", text]],
      params: z.object({ queue: z.string() }),
    },
    async ({ consumer, log }, { queue: name }) => {
      log.info({ queue: name }, `Canceling queue ${name}`);
      if (consumer.queues.includes(name)) await consumer.cancelQueue(name);
      return ok(`no longer consuming from ${name}`);
    },
  ),
  command(
    {
      type: "inspect",
      name: "active_queues",
      help: "List the task queues a worker is currently consuming from.",
      params: z.object({}),
    },
    ({ consumer, queues }) => consumer.queues.map((name) => queueInfo(queues.get(name))),
  ),
];

/** Mirrors `kombu/entity.py Queue.as_dict(recurse=True)`. */
function queueInfo(queue: Queue): Record<string, unknown> {
  const { arguments: args } = queue;
  return {
    name: queue.name,
    exchange: exchangeInfo(queue.exchange),
    routing_key: queue.routingKey,
    queue_arguments: Object.keys(args).length > 0 ? args : null,
    binding_arguments: null,
    consumer_arguments: null,
    durable: queue.durable,
    exclusive: queue.exclusive,
    auto_delete: queue.autoDelete,
    no_ack: false,
    alias: null,
    bindings: (queue.bindings ?? []).map((binding) => ({
      exchange: exchangeInfo(binding.exchange),
      routing_key: binding.routingKey,
      arguments: null,
      unbind_arguments: null,
    })),
    no_declare: queue.noDeclare ?? null,
    expires: seconds(args["x-expires"]),
    message_ttl: seconds(args["x-message-ttl"]),
    max_length: args["x-max-length"] ?? null,
    max_length_bytes: args["x-max-length-bytes"] ?? null,
    max_priority: args["x-max-priority"] ?? null,
  };
}

function exchangeInfo(exchange: Exchange): Record<string, unknown> {
  return {
    name: exchange.name,
    type: exchange.type,
    arguments: exchange.arguments ?? null,
    durable: exchange.durable,
    passive: false,
    auto_delete: exchange.autoDelete,
    delivery_mode: exchange.deliveryMode ?? null,
    no_declare: false,
  };
}

function seconds(milliseconds: unknown): number | null {
  return typeof milliseconds === "number" ? milliseconds / 1000 : null;
}
