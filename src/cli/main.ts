#!/usr/bin/env node
import { CommanderError } from "commander";
import { explained } from "./errors.ts";
import { EX_OK, EX_USAGE } from "./exit-codes.ts";
import { celeriac } from "./program.ts";

// A reader that has seen enough (`celeriac … | head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EX_OK);
  throw error;
});

const program = celeriac((exitCode) => {
  // A task that never settles must not keep a stopped worker's process.
  process.exit(exitCode);
});
try {
  if (process.argv.length === 2) program.outputHelp();
  else await program.parseAsync();
} catch (error) {
  // Node itself shows the line at which a module cannot be read.
  if (error instanceof SyntaxError) throw error;
  process.exitCode = exitCodeOf(error);
}

function exitCodeOf(error: unknown): number {
  // commander has said already what is wrong; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EX_OK : EX_USAGE;
  const { text, exitCode } = explained(error);
  process.stderr.write(`${text}\n`);
  return exitCode;
}
