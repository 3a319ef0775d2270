import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { commandContext, type GlobalOptions } from "../context.ts";
import { CommandFailure } from "../errors.ts";
import { names } from "../values.ts";

interface PurgeOptions extends GlobalOptions {
  force?: boolean;
  queues?: string[];
  excludeQueues?: string[];
}

/** `celeriac purge`. Mirrors `celery/bin/purge.py`. */
export function addPurgeCommand(program: Command): void {
  program
    .command("purge")
    .summary("drop all waiting tasks")
    .description("Drops all tasks that wait in the application's queues. They cannot be had back.")
    .optionsGroup("Purging Options:")
    .option("-f, --force", "do not ask")
    .option("-Q, --queues <names>", "these queues, with commas between them", names)
    .option("-X, --exclude-queues <names>", "all queues but these", names)
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<PurgeOptions>();
      const { app } = await commandContext(options);
      try {
        const wanted = options.queues ?? app.queues.consumeFrom;
        const queues = [...new Set(wanted)].filter((name) => !options.excludeQueues?.includes(name)).sort();
        const what = `${queues.length} task ${queues.length === 1 ? "queue" : "queues"}`;
        if (queues.length === 0) throw new CommandFailure("no queues are left to purge");
        if (!options.force) await confirm(`${what}: ${queues.join(", ")}`);
        const broker = await app.broker();
        await broker.connect();
        const counts = await Promise.all(queues.map((name) => broker.purge(name)));
        const count = counts.reduce((sum, one) => sum + one, 0);
        const text =
          count === 0
            ? `No messages purged from ${what}.`
            : `Purged ${count} ${count === 1 ? "message" : "messages"} from ${what}.`;
        process.stdout.write(`${text}\n`);
      } finally {
        await app.close();
      }
    });
}

async function confirm(what: string): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CommandFailure("purge asks on a terminal only; give -f to purge without a question");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`WARNING: This will remove all tasks from ${what}\nAre you sure? [y/N]: `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandFailure("Aborted!");
  } finally {
    terminal.close();
  }
}
