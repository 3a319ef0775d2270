import type { Command } from "commander";
import { commandContext } from "../context.ts";
import { printReplies, type RemoteControlOptions, withRemoteControlOptions } from "../remote-control.ts";
import { online } from "./remote.ts";

/** `celeriac status`. Mirrors `celery/bin/control.py status`. */
export function addStatusCommand(program: Command): void {
  withRemoteControlOptions(
    program
      .command("status")
      .summary("show the workers that are online")
      .description("Shows the workers that are online, in whatever language they run. Exit code 69 when none replies."),
  ).action(async (_: unknown, command: Command) => {
    const options = command.optsWithGlobals<RemoteControlOptions>();
    const { app, quiet } = await commandContext(options);
    try {
      const { timeout } = options;
      const destination = options.destination ? { destination: options.destination } : {};
      const count = await printReplies(options, false, (onReply) =>
        app.control.inspect({ timeout, ...destination, onReply }).ping(),
      );
      if (!quiet && !options.json) process.stdout.write(online(count));
    } finally {
      await app.close();
    }
  });
}
