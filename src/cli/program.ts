import { Command } from "commander";
import { VERSION } from "../version.ts";
import { addCallCommand } from "./commands/call.ts";
import { addEventsCommand } from "./commands/events.ts";
import { addPurgeCommand } from "./commands/purge.ts";
import { addRemoteCommands } from "./commands/remote.ts";
import { addReportCommand } from "./commands/report.ts";
import { addResultCommand } from "./commands/result.ts";
import { addStatusCommand } from "./commands/status.ts";
import { addWorkerCommand } from "./commands/worker.ts";

/**
 * The command, with the options that all its subcommands have.
 * @param done told what a worker ended with
 */
export function celeriac(done: (exitCode: number) => void): Command {
  const program = new Command("celeriac")
    .description("Celery for TypeScript: works on the queues and results of Python Celery.")
    .version(VERSION, "--version", "print the version")
    .option(
      "-A, --app <module>",
      "the application: a module file (.js, .mjs, .ts, .mts) or package, :NAME for one of several exports",
    )
    .option("-b, --broker <url>", "URL of the broker, in the place of the application's")
    .option("--result-backend <url>", "URL of the result backend, in the place of the application's")
    .option("--workdir <folder>", "work in this folder")
    .option("-C, --no-color", "no colours")
    .option("-q, --quiet", "say less")
    .showSuggestionAfterError(true)
    .showHelpAfterError("Try 'celeriac --help' for help.")
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  addWorkerCommand(program, done);
  addCallCommand(program);
  addResultCommand(program);
  addStatusCommand(program);
  addRemoteCommands(program);
  addEventsCommand(program);
  addPurgeCommand(program);
  addReportCommand(program);
  program
    .command("version")
    .summary("print the version")
    .description("Prints the version.")
    .action(() => void process.stdout.write(`${VERSION}\n`));
  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError(`Try 'celeriac ${command.name()} --help' for help.`);
  }
  return program;
}
