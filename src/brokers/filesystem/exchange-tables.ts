import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Exchange, Queue } from "../../../protocol/transport/entities.ts";
import { dumpTable, exchangeFile, readTable } from "../../../protocol/transport/filesystem.ts";
import { type Binding, lookup, topicPattern } from "../../../protocol/transport/virtual.ts";
import { OperationalError } from "../../app/errors.ts";
import { withLock } from "./file-lock.ts";

/** How often a table is read again that somebody is just writing, and how long to wait between, in milliseconds. */
const READS = 20;
const READ_PAUSE_MS = 10;

/** Which queues are bound to which exchanges: a file for each exchange, which all its users share and lock. */
export class ExchangeTables {
  readonly #folder: string;
  readonly #exchanges = new Map<string, Exchange>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  declareExchange(exchange: Exchange): void {
    this.#exchanges.set(exchange.name, exchange);
  }

  /** Adds a queue's bindings to the tables. */
  async bind(queue: Queue): Promise<void> {
    for (const { exchange, routingKey } of bindingsOf(queue)) {
      if (exchange.name === "") continue;
      this.declareExchange(exchange);
      const pattern = exchange.type === "topic" ? topicPattern(routingKey) : "";
      const binding = { routingKey, pattern, queue: queue.name };
      const known = await this.#read(exchange.name).catch(() => []);
      if (known.some((other) => same(other, binding))) continue;
      await this.#change(exchange.name, (table) =>
        table.some((other) => same(other, binding)) ? table : [binding, ...table],
      );
    }
  }

  /** Takes a queue out of the tables. */
  async unbind(queue: Queue): Promise<void> {
    for (const { exchange } of bindingsOf(queue)) {
      if (exchange.name === "") continue;
      await this.#change(exchange.name, (table) => table.filter((binding) => binding.queue !== queue.name));
    }
  }

  /** The queues that a message reaches. */
  async lookup(exchange: string, routingKey: string): Promise<ReadonlySet<string>> {
    const table = await this.#read(exchange);
    const declared = this.#exchanges.get(exchange)?.type;
    return lookup(table, declared ?? (table.some(({ pattern }) => pattern !== "") ? "topic" : "direct"), routingKey);
  }

  async #read(exchange: string): Promise<Binding[]> {
    const path = this.#path(exchange);
    for (let read = 1; ; read++) {
      try {
        const text = await readFile(path, "utf8");
        return text === "" ? [] : readTable(text);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
        if (read === READS) throw new OperationalError(`${path}: ${(error as Error).message}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, READ_PAUSE_MS));
      }
    }
  }

  /** Written in place, as Python does: another process may have the file open, and wait for its lock. */
  #change(exchange: string, change: (table: Binding[]) => Binding[]): Promise<void> {
    const path = this.#path(exchange);
    return withLock(path, async (file) => {
      const text = await readFile(path, "utf8");
      const table = text === "" ? [] : readTable(text);
      const changed = change(table);
      if (changed.length === table.length && text !== "") return;
      await file.truncate(0);
      await file.write(dumpTable(changed));
    });
  }

  #path(exchange: string): string {
    const file = exchangeFile(exchange);
    if (file !== undefined) return join(this.#folder, file);
    const allowed = "letters, digits, dots, dashes and underscores";
    throw new OperationalError(`exchange ${JSON.stringify(exchange)} cannot be a file's name: ${allowed} only`);
  }
}

function bindingsOf(queue: Queue): { exchange: Exchange; routingKey: string }[] {
  return [{ exchange: queue.exchange, routingKey: queue.routingKey }, ...(queue.bindings ?? [])];
}

function same(one: Binding, other: Binding): boolean {
  return one.routingKey === other.routingKey && one.pattern === other.pattern && one.queue === other.queue;
}
