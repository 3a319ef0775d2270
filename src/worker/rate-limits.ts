import { rate } from "../app/rate.ts";
import type { TaskDefinition } from "../app/task.ts";
import { after } from "../timer.ts";
import type { Request } from "./request.ts";
import { TokenBucket } from "./token-bucket.ts";

interface Line {
  readonly bucket: TokenBucket;
  waiting: Request[];
  /** Ends the wait for the next token. */
  cancel: (() => void) | undefined;
}

/**
 * Tasks that wait because others of their name ran a moment ago, in the order they came; one line a name. They hold
 * no slot of the pool. Mirrors `celery/worker/consumer/consumer.py _schedule_bucket_request`.
 */
export class RateLimits {
  readonly #release: (request: Request) => void;
  readonly #lines = new Map<string, Line>();

  /** @param release called with a task whose turn has come */
  constructor(release: (request: Request) => void) {
    this.#release = release;
  }

  /** Takes in a task of a name with a limit, and says whether it did. One whose turn it is is released at once. */
  hold(request: Request): boolean {
    const perSecond = rate(request.definition.rateLimit);
    if (perSecond === 0) return false;
    const line = this.#lines.get(request.task) ?? this.#open(request.task, perSecond);
    line.waiting.push(request);
    this.#advance(line);
    return true;
  }

  /** The limit of a task was changed: those of its name that wait go by the new one. */
  update({ name, rateLimit }: TaskDefinition): void {
    const line = this.#lines.get(name);
    if (!line) return;
    line.cancel?.();
    line.cancel = undefined;
    const perSecond = rate(rateLimit);
    if (perSecond > 0) {
      line.bucket.setRate(perSecond, performance.now());
      this.#advance(line);
      return;
    }
    this.#lines.delete(name);
    for (const request of line.waiting) this.#release(request);
  }

  /** Forgets the waiting tasks that are not worth keeping. */
  keep(isKept: (request: Request) => boolean): void {
    for (const line of this.#lines.values()) line.waiting = line.waiting.filter(isKept);
  }

  /** Forgets all that wait. */
  clear(): void {
    for (const line of this.#lines.values()) line.cancel?.();
    this.#lines.clear();
  }

  #open(name: string, perSecond: number): Line {
    const line = { bucket: new TokenBucket(perSecond, performance.now()), waiting: [], cancel: undefined };
    this.#lines.set(name, line);
    return line;
  }

  #advance(line: Line): void {
    if (line.cancel) return;
    while (line.waiting.length > 0 && line.bucket.take(performance.now())) {
      this.#release(line.waiting.shift() as Request);
    }
    if (line.waiting.length === 0) return;
    line.cancel = after(Math.max(1, line.bucket.wait(performance.now())), () => {
      line.cancel = undefined;
      this.#advance(line);
    });
  }
}
