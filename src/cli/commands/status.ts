import type { Command } from "commander";
import { commandContext, type GlobalOptions } from "../context.ts";
import { CommandFailure } from "../errors.ts";
import { EX_UNAVAILABLE } from "../exit-codes.ts";
import { names, seconds } from "../values.ts";

interface StatusOptions extends GlobalOptions {
  timeout: number;
  destination?: string[];
  json?: boolean;
}

/** `celeriac status`. Mirrors `celery/bin/control.py status`. */
export function addStatusCommand(program: Command): void {
  program
    .command("status")
    .summary("show the workers that are online")
    .description("Shows the workers that are online, in whatever language they run. Exit code 69 when none replies.")
    .optionsGroup("Remote Control Options:")
    .option("-t, --timeout <seconds>", "wait so long for replies", seconds, 1)
    .option("-d, --destination <nodes>", "ask these nodes only, with commas between them", names)
    .option("-j, --json", "print the replies as JSON")
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<StatusOptions>();
      const { app, quiet } = await commandContext(options);
      try {
        const destination = options.destination ? { destination: options.destination } : {};
        const replies = await app.control.inspect({ timeout: options.timeout, ...destination }).ping();
        if (replies === null) throw new CommandFailure("No nodes replied within time constraint", EX_UNAVAILABLE);
        const nodes = Object.keys(replies).sort();
        if (options.json) {
          process.stdout.write(`${JSON.stringify(replies)}\n`);
          return;
        }
        for (const node of nodes) process.stdout.write(`${node}: OK\n`);
        if (!quiet) process.stdout.write(`\n${nodes.length} ${nodes.length === 1 ? "node" : "nodes"} online.\n`);
      } finally {
        await app.close();
      }
    });
}
