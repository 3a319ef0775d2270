import type { Command } from "commander";
import { commandContext } from "../context.ts";
import { UsageError } from "../errors.ts";
import {
  commandListing,
  commandOf,
  printReplies,
  type RemoteControlOptions,
  readArguments,
  withRemoteControlOptions,
} from "../remote-control.ts";

type Type = "inspect" | "control";

/** `celeriac inspect` and `celeriac control`. Mirrors `celery/bin/control.py`. */
export function addRemoteCommands(program: Command): void {
  add(
    program,
    "inspect",
    "inspect the workers",
    "Inspects the workers, in whatever language they run, by sending them the inspect command. Exit code 69 when none replies.",
  );
  add(
    program,
    "control",
    "send the workers a control command",
    "Sends the workers, in whatever language they run, the control command. Exit code 69 when none replies.",
  );
}

function add(program: Command, type: Type, summary: string, description: string): void {
  withRemoteControlOptions(
    program
      .command(type)
      .summary(summary)
      .description(description)
      .argument("[command]", "one of those that --list shows")
      .argument("[arguments...]", "those of the command")
      .option("--list", `list the available ${type} commands with their arguments, and exit`),
  ).action(async (name: string | undefined, words: string[], _: unknown, command: Command) => {
    await run(type, name, words, command.optsWithGlobals<RemoteControlOptions & { list?: boolean }>());
  });
}

async function run(
  type: Type,
  name: string | undefined,
  words: string[],
  options: RemoteControlOptions & { list?: boolean },
): Promise<void> {
  const { app, quiet } = await commandContext(options);
  try {
    if (options.list) {
      process.stdout.write(commandListing(app, type));
      return;
    }
    if (name === undefined) throw new UsageError(`Missing argument 'COMMAND'. \`celeriac ${type} --list\` lists them`);
    const args = readArguments(commandOf(app, type, name), words);
    const { timeout } = options;
    const destination = options.destination ? { destination: options.destination } : {};
    const count = await printReplies(options, true, (onReply) => {
      const asked = { timeout, ...destination, onReply };
      return type === "inspect"
        ? app.control.inspect(asked).request(name, args)
        : app.control.broadcast(name, args, { ...asked, reply: true });
    });
    if (type === "inspect" && !quiet && !options.json) process.stdout.write(online(count));
  } finally {
    await app.close();
  }
}

/** The last line of an inspection. */
export function online(count: number): string {
  return `\n${count} ${count === 1 ? "node" : "nodes"} online.\n`;
}
