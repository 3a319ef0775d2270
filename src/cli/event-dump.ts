import { isoFormatIn } from "../../protocol/python/timezone.ts";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import type { CeleryEvent } from "../index.ts";

/** What the types are called that have another name for people. */
const HUMAN_TYPES: Readonly<Record<string, string>> = {
  "worker-offline": "shutdown",
  "worker-online": "started",
  "worker-heartbeat": "heartbeat",
};

/** How many tasks' names are remembered. */
const REMEMBERED = 4095;

/** Writes events as lines of text. Mirrors `celery/events/dumper.py Dumper`. */
export class EventDump {
  readonly #tasks = new Map<string, string>();

  /** `node [time] task started: tasks.add(id) args=(1,) kwargs={} clock=3, …` */
  line(event: CeleryEvent): string {
    const { type, timestamp, hostname, ...rest } = event;
    const [task, fields] = type.startsWith("task-") ? this.#task(type, rest) : ["", rest];
    const shown = Object.entries(fields)
      .sort()
      .map(([key, value]) => `${key}=${typeof value === "string" ? value : dumps(value ?? null)}`)
      .join(", ");
    const time = isoFormatIn(new Date(timestamp * 1000), "UTC").replace("T", " ");
    const head = `${hostname} [${time}] ${HUMAN_TYPES[type] ?? type.replaceAll("-", " ")}`;
    return [shown ? `${head}:` : head, task, shown].filter(Boolean).join(" ");
  }

  #task(type: string, event: Record<string, unknown>): [string, Record<string, unknown>] {
    const { uuid, name, args, kwargs, ...rest } = event;
    const id = String(uuid);
    if (type !== "task-received" && type !== "task-sent") return [this.#tasks.get(id) ?? `(${id})`, rest];
    const task = `${name}(${id}) args=${args} kwargs=${kwargs}`;
    this.#tasks.set(id, task);
    for (const oldest of this.#tasks.keys()) {
      if (this.#tasks.size <= REMEMBERED) break;
      this.#tasks.delete(oldest);
    }
    return [task, rest];
  }
}
