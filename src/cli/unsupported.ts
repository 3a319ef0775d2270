import { type Command, Option } from "commander";
import { UsageError } from "./errors.ts";

/** Options of `celery worker` that this one does not have, and what to do instead. */
const UNSUPPORTED: readonly [flags: string, name: string, instead: string][] = [
  ["-D, --detach", "detach", "have systemd, a container or nohup run the worker"],
  ["--uid <user>", "uid", "have systemd (User=) or the container choose the user"],
  ["--gid <group>", "gid", "have systemd (Group=) or the container choose the group"],
  ["--umask <mask>", "umask", "have systemd (UMask=) or the shell set it"],
  ["--executable <path>", "executable", "run celeriac by that Node itself"],
  ["-B, --beat", "beat", "run celery beat, which sends to this worker as well"],
  ["-s, --schedule <path>", "schedule", "run celery beat, which sends to this worker as well"],
  ["--scheduler <name>", "scheduler", "run celery beat, which sends to this worker as well"],
];

/** Has a command know Celery's options that it does not have, so that it can say so. */
export function addUnsupportedOptions(command: Command): Command {
  for (const [flags] of UNSUPPORTED) command.addOption(new Option(flags).hideHelp());
  // Celery's choice of who gets a prefetched task; here it is always the first child that is free.
  command.addOption(new Option("-O, --optimization <profile>").choices(["default", "fair"]).hideHelp());
  // Children always begin as fresh interpreters.
  command.addOption(new Option("--pool-start-method <method>").choices(["fork", "spawn"]).hideHelp());
  return command;
}

/** @throws UsageError that says what to do instead, for an option that was given all the same */
export function refuseUnsupported(options: Readonly<Record<string, unknown>>): void {
  for (const [flags, name, instead] of UNSUPPORTED) {
    const flag = flags.replace(/ <.*/, "");
    if (options[name] !== undefined) throw new UsageError(`${flag} is not supported: ${instead}`);
  }
  if (options.poolStartMethod === "fork") {
    throw new UsageError("--pool-start-method fork is not supported: children are started anew (spawn)");
  }
}
