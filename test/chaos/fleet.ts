import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type AsyncResult, Celery, type GivenSettings } from "../../src/index.ts";
import { freePort } from "../servers/free-port.ts";
import { eventually } from "../support/eventually.ts";
import { Project, type RunningCommand } from "../support/project.ts";
import { type Account, account } from "./ledger.ts";

/** How many tasks may be under way at a time. */
const UNDER_WAY = 100;

/** The tasks that a worker runs at a time. */
const CONCURRENCY = 8;

/** Workers as processes of their own, a producer that keeps them busy, and the ledger of what they did. */
export class Fleet implements AsyncDisposable {
  readonly workers: RunningCommand[] = [];
  readonly app: Celery;
  readonly #project = new Project();
  readonly #settings: GivenSettings;
  readonly #ledger = join(this.#project.folder, "ledger");
  readonly #sent: number[] = [];
  readonly #waiting = new Set<Promise<void>>();
  readonly #failures: Error[] = [];
  #next = 0;
  #producing: Promise<void> | undefined;
  #isProducing = false;

  /** @param settings of the workers and of the producer */
  constructor(settings: GivenSettings) {
    this.#settings = settings;
    this.app = new Celery("chaos", settings);
    this.#project.write("tasks.ts", readFileSync(join(import.meta.dirname, "tasks.ts"), "utf8"));
  }

  /** Starts one more worker, and waits until it consumes. */
  async start(): Promise<RunningCommand> {
    const health = `127.0.0.1:${await freePort()}`;
    const name = `chaos-${this.#next++}@here`;
    const worker = this.#project.start(
      ["-A", "./tasks", "worker", "-l", "WARNING", "-c", String(CONCURRENCY), "-n", name, "--health", health],
      { CELERIAC_SETTINGS: JSON.stringify(this.#settings), CELERIAC_LEDGER: this.#ledger },
    );
    this.workers.push(worker);
    const isHealthy = (): Promise<boolean> =>
      fetch(`http://${health}/`).then(
        ({ ok }) => ok,
        () => false,
      );
    await eventually(isHealthy, 30_000);
    return worker;
  }

  /** Sends tasks and awaits their results, as many at a time as there is room for, until {@link settle}. */
  produce(tasks: readonly string[]): void {
    this.#isProducing = true;
    this.#producing = (async () => {
      while (this.#isProducing) {
        if (this.#waiting.size >= UNDER_WAY) await Promise.race(this.#waiting);
        const number = this.#next++;
        await this.#send(tasks[number % tasks.length] as string, number);
      }
    })();
  }

  /** Stops sending, and waits until every task that was sent has its result. @throws the first failure */
  async settle(): Promise<Account> {
    this.#isProducing = false;
    await this.#producing;
    await Promise.all(this.#waiting);
    if (this.#failures[0]) throw this.#failures[0];
    return account(this.#ledger, this.#sent);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isProducing = false;
    await this.app.close();
    await this.#project[Symbol.asyncDispose]();
  }

  /** What the broker would not take counts as not sent, since the producer hears of it. */
  async #send(task: string, number: number): Promise<void> {
    let result: AsyncResult;
    try {
      result = await this.app.sendTask(task, [number, Math.random() * 50]);
    } catch {
      await sleep(50);
      return;
    }
    this.#sent.push(number);
    const settled = this.#expect(result, number).finally(() => this.#waiting.delete(settled));
    this.#waiting.add(settled);
  }

  async #expect(result: AsyncResult, number: number): Promise<void> {
    try {
      const value = await result.get({ timeout: 60 });
      if (value !== number) throw new Error(`task ${number} gave ${value}`);
    } catch (error) {
      this.#failures.push(new Error(`task ${number} (${result.id}): ${(error as Error).message}`, { cause: error }));
    }
  }
}
