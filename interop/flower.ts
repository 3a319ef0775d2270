import { freePort } from "../test/servers/free-port.ts";
import { ServerProcess, untilListening } from "../test/servers/server.ts";
import { environment, type PythonSide } from "./python.ts";

/** What Flower answered. */
export interface FlowerAnswer {
  status: number;
  text: string;
}

/** Flower, unmodified, as its users run it. */
export class Flower implements AsyncDisposable {
  readonly #process: ServerProcess;
  readonly url: string;

  private constructor(side: PythonSide, port: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#process = new ServerProcess(
      side.python,
      ["-m", "celery", "-A", "tasks", "flower", "--address=127.0.0.1", `--port=${port}`],
      { ...environment(side), FLOWER_UNAUTHENTICATED_API: "true" },
    );
  }

  /** @param side its `python` is one of the environment that `python/make-flower` made */
  static async start(side: PythonSide): Promise<Flower> {
    const port = await freePort();
    const flower = new Flower(side, port);
    flower.#process.start();
    await untilListening(port, flower.#process, 60_000);
    return flower;
  }

  /** What it said so far. */
  get output(): string {
    return this.#process.output;
  }

  /** Reads a page, or the API. */
  async get(path: string): Promise<FlowerAnswer> {
    return answerOf(await fetch(this.url + path));
  }

  /** The API's answer. @throws Error when it is none */
  async json<T = Record<string, unknown>>(path: string): Promise<T> {
    const { status, text } = await this.get(path);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}\n${this.output}`);
    return JSON.parse(text);
  }

  /** Presses a button: what the pages send to the API. */
  async press(path: string, fields: Record<string, string> = {}): Promise<FlowerAnswer> {
    return answerOf(await fetch(this.url + path, { method: "POST", body: new URLSearchParams(fields) }));
  }

  /** Sends JSON to the API. */
  async post<T = Record<string, unknown>>(path: string, body: unknown): Promise<T> {
    const { status, text } = await answerOf(
      await fetch(this.url + path, { method: "POST", body: JSON.stringify(body) }),
    );
    if (status !== 200) throw new Error(`${path}: ${status} ${text}\n${this.output}`);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end("SIGTERM", 3000);
  }
}

async function answerOf(response: Response): Promise<FlowerAnswer> {
  return { status: response.status, text: await response.text() };
}
