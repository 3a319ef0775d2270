import { type DelayedDelivery, deliveryBindings } from "../../../protocol/transport/delayed-delivery.ts";
import type { Queue } from "../../../protocol/transport/entities.ts";
import type { Declarations } from "./declarations.ts";

/** Declares the chain that keeps messages until their time, once for each connection. */
export async function declareChain(declarations: Declarations, chain: DelayedDelivery): Promise<void> {
  for (const exchange of chain.exchanges) await declarations.declareExchange(exchange);
  for (const queue of chain.queues) await declarations.declareQueue(queue);
  for (const binding of chain.bindings) await declarations.bindExchange(binding);
}

/** Lets a queue have what comes out of the chain; one behind a direct exchange cannot. */
export async function bindToChain(declarations: Declarations, queue: Queue): Promise<void> {
  const bindings = deliveryBindings(queue);
  if (!bindings) return;
  await declarations.declareQueue(queue);
  await declarations.bindExchange(bindings.exchange);
  await declarations.bindQueue(queue.name, bindings.queue.exchange, bindings.queue.routingKey);
}
