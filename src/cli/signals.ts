import type { Worker } from "../index.ts";
import { EX_FAILURE, EX_OK } from "./exit-codes.ts";

/** What came of the signals so far. */
export interface Stop {
  /** True once a signal asked the worker to stop. */
  readonly asked: boolean;
  /** Resolves with the exit code when the worker has stopped. */
  readonly exitCode: Promise<number>;
}

/**
 * Stops a worker by signals: the first SIGTERM or SIGINT warm, the second cold, as SIGQUIT does at once; a third ends
 * the process where it stands. Mirrors `celery/apps/worker.py`.
 */
export function stopOnSignals(worker: Worker, say: (text: string) => void): Stop {
  let asked = 0;
  const exitCode = new Promise<number>((resolve, reject) => {
    const cold = (): void => {
      say("worker: Cold shutdown (MainProcess)");
      worker.terminate().then(() => resolve(EX_FAILURE), reject);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      asked += 1;
      if (asked === 1) {
        const hint = signal === "SIGINT" ? "worker: Hitting Ctrl+C again will terminate all running tasks!\n" : "";
        say(`${hint}worker: Warm shutdown (MainProcess)`);
        worker.stop().then(() => {
          // A cold stop ends what the warm one waits for.
          if (asked === 1) resolve(EX_OK);
        }, reject);
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
  return {
    get asked() {
      return asked > 0;
    },
    exitCode,
  };
}
