import type { Command } from "commander";
import { dumps } from "../../../protocol/serialization/json-writer.ts";
import { TaskError } from "../../index.ts";
import { commandContext, type GlobalOptions } from "../context.ts";
import { CommandFailure } from "../errors.ts";
import { seconds } from "../values.ts";

interface ResultOptions extends GlobalOptions {
  traceback?: boolean;
  timeout?: number;
  task?: string;
}

/** `celeriac result`. Mirrors `celery/bin/result.py`. */
export function addResultCommand(program: Command): void {
  program
    .command("result")
    .summary("print the result of a task")
    .description(
      "Waits for a task, and prints its result as JSON. The error of a task that failed goes to stderr, with exit code 1.",
    )
    .argument("<task_id>", "what `call` printed")
    .optionsGroup("Result Options:")
    .option("-t, --task <name>", "accepted; results are found by id alone")
    .option("--traceback", "print the traceback of a task that failed")
    .option("--timeout <seconds>", "wait no longer than this", seconds)
    .action(async (id: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<ResultOptions>();
      const { app } = await commandContext(options);
      try {
        const result = app.asyncResult(id);
        const waiting = options.timeout === undefined ? {} : { timeout: options.timeout };
        if (options.traceback) {
          await result.get(waiting).catch((error: unknown) => ignoreOutcome(error));
          process.stdout.write(`${(await result.traceback()) ?? ""}\n`);
        } else {
          process.stdout.write(`${dumps(await result.get(waiting))}\n`);
        }
      } catch (error) {
        if (error instanceof TaskError || (error as Error).name === "TimeoutError") {
          throw new CommandFailure(outcome(error as Error));
        }
        throw error;
      } finally {
        await app.close();
      }
    });
}

/** The task's own error is what is asked about here; every other is one. */
function ignoreOutcome(error: unknown): void {
  if (!(error instanceof TaskError)) throw error;
}

function outcome(error: Error): string {
  return error instanceof TaskError ? `${error.type}: ${error.message}` : error.message;
}
