import type { Worker } from "../index.ts";
import { EX_FAILURE, EX_OK } from "./exit-codes.ts";

/** What came of the signals so far. */
export interface Stop {
  /** True once a signal asked the worker to stop. */
  readonly asked: boolean;
  /** True when the worker is to begin anew once it has stopped. */
  readonly restart: boolean;
  /** Resolves with the exit code when the worker has stopped. */
  readonly exitCode: Promise<number>;
}

/** How signals are taken. */
export interface SignalOptions {
  /** False where a terminal that closes sends SIGHUP: then it stops the worker warm. */
  hangupRestarts: boolean;
  /** True when SIGTERM means what SIGQUIT does: `REMAP_SIGTERM=SIGQUIT`. */
  termIsQuit: boolean;
}

/**
 * Stops a worker by signals: the first SIGTERM or SIGINT warm, the second cold, as SIGQUIT does at once; a third ends
 * the process where it stands. SIGHUP restarts it, SIGUSR1 shows what runs. Mirrors `celery/apps/worker.py`.
 */
export function stopOnSignals(worker: Worker, say: (text: string) => void, options: SignalOptions): Stop {
  let asked = 0;
  let restart = false;
  const exitCode = new Promise<number>((resolve, reject) => {
    const warm = (sig: string): void => {
      worker.stop(sig).then(() => {
        // A cold stop ends what the warm one waits for.
        if (asked === 1) resolve(EX_OK);
      }, reject);
    };
    const cold = (sig: string): void => {
      restart = false;
      say("worker: Cold shutdown (MainProcess)");
      worker.terminate(sig).then(() => resolve(EX_FAILURE), reject);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      asked += 1;
      if (asked === 1) {
        const hint = signal === "SIGINT" ? "worker: Hitting Ctrl+C again will terminate all running tasks!\n" : "";
        say(`${hint}worker: Warm shutdown (MainProcess)`);
        warm(signal);
      } else if (asked === 2) {
        cold(signal);
      } else if (!worker.cutShort()) {
        process.exit(EX_FAILURE);
      }
    };
    const onQuit = (): void => {
      if (asked >= 2) {
        onSignal("SIGQUIT");
      } else {
        asked = 2;
        cold("SIGQUIT");
      }
    };
    process.on("SIGTERM", options.termIsQuit ? onQuit : onSignal);
    process.on("SIGINT", onSignal);
    process.on("SIGQUIT", onQuit);
    process.on("SIGHUP", () => {
      // A terminal that closes must not end the worker in the middle of a task.
      if (!options.hangupRestarts) return onSignal("SIGTERM");
      if (asked > 0) return;
      asked = 1;
      restart = true;
      say(`Restarting celeriac worker (${process.argv.slice(2).join(" ")})`);
      warm("SIGHUP");
    });
    process.on("SIGUSR1", () => say(worker.dump()));
  });
  return {
    get asked() {
      return asked > 0;
    },
    get restart() {
      return restart;
    },
    exitCode,
  };
}
