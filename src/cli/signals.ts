import type { Worker } from "../index.ts";
import { EX_FAILURE, EX_OK } from "./exit-codes.ts";

/**
 * Stops a worker by signals: the first SIGTERM or SIGINT warm, the second cold, as SIGQUIT does at once; a third ends
 * the process where it stands. Mirrors `celery/apps/worker.py`.
 * @returns resolves with the exit code when the worker has stopped
 */
export function untilStopped(worker: Worker, say: (text: string) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    let asked = 0;
    const cold = (): void => {
      say("worker: Cold shutdown (MainProcess)");
      worker.terminate().then(() => resolve(EX_FAILURE), reject);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      asked += 1;
      if (asked === 1) {
        const hint = signal === "SIGINT" ? "worker: Hitting Ctrl+C again will terminate all running tasks!\n" : "";
        say(`${hint}worker: Warm shutdown (MainProcess)`);
        worker.stop().then(() => resolve(EX_OK), reject);
      } else if (asked === 2) {
        cold();
      } else {
        process.exit(EX_FAILURE);
      }
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
    process.on("SIGQUIT", () => {
      if (asked >= 2) process.exit(EX_FAILURE);
      asked = 2;
      cold();
    });
    // A terminal that closes must not end the worker in the middle of a task.
    process.on("SIGHUP", () => onSignal("SIGTERM"));
  });
}
