import { type Exchange, exchange, expiryArguments, type Queue, queue } from "../../protocol/transport/entities.ts";
import { ImproperlyConfigured, QueueNotFound } from "./errors.ts";
import type { Settings } from "./settings.ts";

/** A queue as settings describe it; the names are those of kombu's `Queue`, in camelCase or snake_case. */
export interface QueueSetting {
  name: string;
  exchange?: string;
  exchangeType?: "direct" | "topic" | "fanout";
  routingKey?: string;
  durable?: boolean;
  autoDelete?: boolean;
  exclusive?: boolean;
  /** `x-…` arguments of the broker. */
  queueArguments?: Record<string, unknown>;
  maxPriority?: number;
  /** Seconds. */
  expires?: number;
  /** Seconds. */
  messageTtl?: number;
}

type QueueSettings = Pick<
  Settings,
  | "taskQueues"
  | "taskDefaultQueue"
  | "taskDefaultQueueType"
  | "taskDefaultExchange"
  | "taskDefaultExchangeType"
  | "taskDefaultRoutingKey"
  | "taskQueueMaxPriority"
  | "taskCreateMissingQueues"
  | "taskCreateMissingQueueType"
  | "taskCreateMissingQueueExchangeType"
>;

/** The queues an application knows by name. Mirrors `celery/app/amqp.py Queues`. */
export class Queues {
  readonly #settings: QueueSettings;
  readonly #byName = new Map<string, Queue>();
  /** What a worker reads that was not told which queues: those of `taskQueues`, or the default one. */
  readonly consumeFrom: readonly string[];

  /** @throws ImproperlyConfigured when `taskQueues` is not a list or mapping of queues */
  constructor(settings: QueueSettings) {
    this.#settings = settings;
    for (const setting of queueSettings(settings.taskQueues)) this.#add(this.#fromSetting(setting));
    if (this.#byName.size === 0) this.#add(this.#defaultQueue());
    this.consumeFrom = [...this.#byName.keys()];
  }

  /**
   * The queue of a name, made by the rules of the settings when it is not there yet.
   * @throws QueueNotFound when `taskCreateMissingQueues` is off and no queue has that name
   */
  get(name: string): Queue {
    const known = this.#byName.get(name);
    if (known) return known;
    if (!this.#settings.taskCreateMissingQueues) {
      const names = [...this.#byName.keys()].join(", ");
      throw new QueueNotFound(`Queue '${name}' missing from taskQueues (there are: ${names})`);
    }
    return this.#add(this.#missing(name));
  }

  /** Whether a queue of this name is known by now. */
  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Every queue known by now. */
  all(): Queue[] {
    return [...this.#byName.values()];
  }

  /** Adds a queue that a remote control command asked for. */
  add(setting: QueueSetting): Queue {
    return this.#add(this.#fromSetting(setting));
  }

  #add(made: Queue): Queue {
    const max = this.#settings.taskQueueMaxPriority;
    const prioritised =
      max !== null && !("x-max-priority" in made.arguments)
        ? { ...made, arguments: { ...made.arguments, "x-max-priority": max } }
        : made;
    this.#byName.set(prioritised.name, prioritised);
    return prioritised;
  }

  #defaultExchange(queueName: string): Exchange {
    const { taskDefaultExchange, taskDefaultExchangeType } = this.#settings;
    return exchange(taskDefaultExchange ?? queueName, { type: taskDefaultExchangeType });
  }

  #defaultQueue(): Queue {
    const { taskDefaultQueue: name, taskDefaultQueueType, taskDefaultRoutingKey } = this.#settings;
    return queue(name, {
      exchange: this.#defaultExchange(name),
      routingKey: taskDefaultRoutingKey ?? name,
      arguments: taskDefaultQueueType === "quorum" ? { "x-queue-type": "quorum" } : {},
    });
  }

  #missing(name: string): Queue {
    const { taskCreateMissingQueueType: type, taskCreateMissingQueueExchangeType: exchangeType } = this.#settings;
    return queue(name, {
      exchange: exchange(name, exchangeType ? { type: exchangeType } : {}),
      arguments: type === "quorum" ? { "x-queue-type": "quorum" } : {},
    });
  }

  #fromSetting(setting: QueueSetting): Queue {
    const { name, taskDefaultRoutingKey } = { ...setting, ...this.#settings };
    const bound = setting.exchange
      ? exchange(setting.exchange, { type: setting.exchangeType ?? "direct" })
      : {
          ...this.#defaultExchange(this.#settings.taskDefaultQueue),
          ...(setting.exchangeType && { type: setting.exchangeType }),
        };
    return queue(name, {
      exchange: bound,
      routingKey: setting.routingKey ?? taskDefaultRoutingKey ?? name,
      durable: setting.durable ?? true,
      autoDelete: setting.autoDelete ?? false,
      exclusive: setting.exclusive ?? false,
      arguments: {
        ...setting.queueArguments,
        ...(setting.maxPriority !== undefined && { "x-max-priority": setting.maxPriority }),
        ...expiryArguments(setting.expires ?? null, setting.messageTtl ?? null),
      },
    });
  }
}

/** `taskQueues` as a list, with the names of its fields in camelCase. */
function queueSettings(taskQueues: QueueSettings["taskQueues"]): QueueSetting[] {
  if (taskQueues === null) return [];
  const list = Array.isArray(taskQueues)
    ? taskQueues
    : Object.entries(taskQueues).map(([name, setting]) => ({ name, ...setting }));
  return list.map((setting) => {
    if (typeof setting === "string") return { name: setting };
    const named = Object.fromEntries(Object.entries(setting).map(([key, value]) => [toCamelCase(key), value]));
    if (typeof named.name !== "string" || named.name === "") {
      throw new ImproperlyConfigured(`Setting taskQueues: every queue needs a name, got ${JSON.stringify(setting)}`);
    }
    return named as unknown as QueueSetting;
  });
}

function toCamelCase(key: string): string {
  return key === "bindingKey" || key === "binding_key"
    ? "routingKey"
    : key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
