import { describe, expect, it } from "vitest";
import { delayedDelivery, delayedRoute, deliveryBindings } from "../../../protocol/transport/delayed-delivery.ts";
import { exchange, queue } from "../../../protocol/transport/entities.ts";
import { named, vectors } from "../../support/vectors.ts";

type Call = [kind: string, ...rest: unknown[]];
interface Vector {
  name: string;
  calls: Call[];
  seconds?: number;
  key: string;
}

/** In no particular order, as the broker sees it. */
function sorted(calls: Call[]): string[] {
  return calls.map((call) => JSON.stringify(call)).sort();
}

function calls(name: string): string[] {
  return sorted(named<Vector>("delayed-delivery", name).calls);
}

describe("native delayed delivery", () => {
  it.each(["classic", "quorum"] as const)("is declared as kombu declares it, of %s queues", (type) => {
    const { exchanges, queues, bindings } = delayedDelivery(type);
    const ours: Call[] = [
      ...exchanges.map((each): Call => ["exchange", each.name, each.type, each.durable, each.autoDelete]),
      ...queues.flatMap((each): Call[] => [
        ["queue", each.name, each.durable, each.exclusive, each.autoDelete, each.arguments],
        ["queue binding", each.name, each.exchange.name, each.routingKey],
      ]),
      ...bindings.map((each): Call => ["exchange binding", each.source, each.destination, each.routingKey]),
    ];
    expect(sorted(ours)).toEqual(calls(`chain of ${type} queues`));
  });

  it.each([
    ["topic", "topic", "c"],
    ["pattern", "topic", "#.c"],
    ["direct", "direct", "c"],
  ] as const)("binds a queue as kombu does: %s", (name, type, routingKey) => {
    const bound = deliveryBindings(queue("a", { exchange: exchange("b", { type }), routingKey }));
    const ours: Call[] = bound
      ? [
          ["exchange binding", bound.exchange.source, bound.exchange.destination, bound.exchange.routingKey],
          ["queue binding", "a", bound.queue.exchange, bound.queue.routingKey],
        ]
      : [];
    expect(sorted(ours)).toEqual(calls(`binding of ${name}`));
  });

  const keys = vectors<Vector>("delayed-delivery").filter(({ seconds }) => seconds !== undefined);
  it.each(keys)("sends by the key that kombu calculates: $name", ({ name, seconds = 0, key }) => {
    const before = name === "key of a retry" ? (delayedRoute(9, "topic", "celery")?.routingKey ?? "") : "celery";
    expect(delayedRoute(seconds + 0.9, "topic", before)).toEqual({ exchange: "celery_delayed_27", routingKey: key });
  });

  it("keeps what is too long for it as long as it can, and nothing that is due or has a direct exchange", () => {
    expect(delayedRoute(2 ** 40, "fanout", "a")?.routingKey).toBe(`${"1.".repeat(28)}a`);
    expect(delayedRoute(0.9, "topic", "a")).toBeUndefined();
    expect(delayedRoute(-5, "topic", "a")).toBeUndefined();
    expect(delayedRoute(60, "direct", "a")).toBeUndefined();
  });
});
