/** In which order queues are served: `queue_order_strategy`. Mirrors `kombu/utils/scheduling.py`. */
export type QueueOrder = "round_robin" | "sorted" | "priority";

/**
 * The queues for the next look, the first served first.
 *
 * @param turn how many looks there have been; with `round_robin` each begins with another queue
 */
export function queueOrder(queues: readonly string[], strategy: QueueOrder, turn: number): string[] {
  if (strategy === "sorted") return [...queues].sort();
  if (strategy === "priority" || queues.length < 2) return [...queues];
  const start = turn % queues.length;
  return [...queues.slice(start), ...queues.slice(0, start)];
}
