import type { Command } from "commander";
import { commandContext, type GlobalOptions } from "../context.ts";

/** `celeriac report`. Mirrors `celery/bin/base.py`. */
export function addReportCommand(program: Command): void {
  program
    .command("report")
    .summary("show what a bug report needs")
    .description("Shows versions, the platform and the settings, passwords masked, to be pasted into a bug report.")
    .action(async (_: unknown, command: Command) => {
      const { app } = await commandContext(command.optsWithGlobals<GlobalOptions>());
      process.stdout.write(app.bugReport());
      await app.close();
    });
}
