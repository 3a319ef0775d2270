import type { Command } from "commander";
import { dumps } from "../../../protocol/serialization/json-writer.ts";
import { commandContext, type GlobalOptions } from "../context.ts";
import { EventDump } from "../event-dump.ts";

interface EventsOptions extends GlobalOptions {
  json?: boolean;
}

/** `celeriac events`. Mirrors `celery/bin/events.py`. */
export function addEventsCommand(program: Command): void {
  program
    .command("events")
    .summary("print the events of tasks and workers")
    .description(
      "Prints the events of tasks and workers as they come, in whatever language they run, until it is stopped. Workers tell of " +
        "their tasks when they run with -E, or after `celeriac control enable_events`.",
    )
    .optionsGroup("Dumper:")
    .option("-d, --dump", "one line an event; what it does without this as well")
    .option("-j, --json", "one line of JSON an event")
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<EventsOptions>();
      const { app, quiet } = await commandContext(options);
      const dump = new EventDump();
      const receiver = app.events.receiver({
        handlers: {
          "*": (event) => void process.stdout.write(`${options.json ? dumps(event) : dump.line(event)}\n`),
        },
      });
      try {
        await receiver.start();
        if (!quiet) process.stderr.write("-> evdump: starting capture...\n");
        await stopped();
      } finally {
        await receiver.close().catch(() => undefined);
        await app.close();
      }
    });
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    // A connection that is lost for a while must not end the process, though nothing else keeps it.
    const alive = setInterval(() => {}, 60_000);
    const stop = (): void => {
      clearInterval(alive);
      resolve();
    };
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
  });
}
