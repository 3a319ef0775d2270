import { OperationalError } from "../app/errors.ts";

/**
 * The promise, or a rejection when it takes too long. What it stands for goes on.
 *
 * @param what is said of it in the error: `publishing`, `declaring queue celery`
 * @throws OperationalError after `timeoutMs` milliseconds
 */
export function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new OperationalError(`${what}: no answer from the broker within ${Math.round(timeoutMs) / 1000} s`));
    }, timeoutMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: Error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
