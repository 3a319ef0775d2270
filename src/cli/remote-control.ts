import type { Command } from "commander";
import leven from "leven";
import { dumps } from "../../protocol/serialization/json-writer.ts";
import type { Celery, CommandInfo, Reply } from "../index.ts";
import type { GlobalOptions } from "./context.ts";
import { CommandFailure, isOurs, UsageError } from "./errors.ts";
import { EX_UNAVAILABLE } from "./exit-codes.ts";
import { shownReply } from "./reply-tree.ts";
import { names, seconds } from "./values.ts";

/** Options of the commands that workers answer. */
export interface RemoteControlOptions extends GlobalOptions {
  timeout: number;
  destination?: string[];
  json?: boolean;
}

/** Adds the options of the commands that workers answer. */
export function withRemoteControlOptions(command: Command): Command {
  return command
    .optionsGroup("Remote Control Options:")
    .option("-t, --timeout <seconds>", "wait so long for replies", seconds, 1)
    .option("-d, --destination <nodes>", "ask these nodes only, with commas between them", names)
    .option("-j, --json", "print the replies as JSON");
}

/** The command of a name. @throws UsageError that suggests the right word */
export function commandOf(app: Celery, type: "inspect" | "control", name: string): CommandInfo {
  const known = app.remoteCommands(type);
  const found = known.find((command) => command.name === name);
  if (found) return found;
  const other = type === "inspect" ? "control" : "inspect";
  if (app.remoteCommands(other).some((command) => command.name === name)) {
    throw new UsageError(`${name} is a command of \`celeriac ${other}\``);
  }
  const [best] = known.toSorted((a, b) => leven(a.name, name) - leven(b.name, name));
  const hint = best && leven(best.name, name) <= 2 ? ` Did you mean ${best.name}?` : "";
  const available = known.map((command) => command.name).join(", ");
  throw new UsageError(`Command ${name} not recognized.${hint} Available ${type} commands: ${available}`);
}

/** The arguments of a command, from the words after it. @throws UsageError */
export function readArguments(info: CommandInfo, words: readonly string[]): Record<string, unknown> {
  const named = info.args ?? [];
  if (words.length > named.length && info.variadic === undefined) {
    throw new UsageError(
      named.length > 0
        ? `Command '${info.name}' takes arguments: ${info.signature}`
        : `Command '${info.name}' takes no arguments`,
    );
  }
  const args: Record<string, unknown> = {};
  for (const [position, [name, read]] of named.entries()) {
    const word = words[position];
    if (word === undefined) break;
    try {
      args[name] = read(word);
    } catch (error) {
      throw new UsageError(`${name}: ${(error as Error).message}`);
    }
  }
  return info.variadic === undefined ? args : { ...args, [info.variadic]: words.slice(named.length) };
}

/** The commands of a type with their arguments, one a line. */
export function commandListing(app: Celery, type: "inspect" | "control"): string {
  const rows = app
    .remoteCommands(type)
    .map(({ name, signature, help = "" }) => [signature ? `${name} ${signature}` : name, help] as const);
  const width = Math.min(34, Math.max(...rows.map(([usage]) => usage.length)));
  const lines = rows.map(([usage, help]) =>
    usage.length > width ? `  ${usage}\n  ${" ".repeat(width)}  ${help}` : `  ${usage.padEnd(width)}  ${help}`,
  );
  return `${type === "inspect" ? "Inspect" : "Control"} Commands:\n${lines.join("\n")}\n`;
}

/**
 * Asks the workers, and prints each reply as it comes, or all of them as JSON.
 * @param ask sends the command
 * @returns how many replied
 * @throws CommandFailure with the exit code 69 when nobody does, or the broker cannot be reached
 */
export async function printReplies(
  options: RemoteControlOptions,
  withLines: boolean,
  ask: (onReply: (reply: Reply) => void) => Promise<Reply[] | Reply | null>,
): Promise<number> {
  // Nodes without more to say are shown in order, when all have replied.
  const isStream = withLines && !options.json;
  const replies = await reachable(ask((reply) => isStream && printReply(reply, true)));
  const count = replies === null ? 0 : Array.isArray(replies) ? replies.length : Object.keys(replies).length;
  if (count === 0) throw new CommandFailure("No nodes replied within time constraint", EX_UNAVAILABLE);
  if (options.json) process.stdout.write(`${dumps(replies)}\n`);
  else if (!isStream) printReply(Object.fromEntries(Object.entries(replies ?? {}).sort()), false);
  return count;
}

async function reachable<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!isOurs(error) || error.name !== "OperationalError") throw error;
    throw new CommandFailure(`Could not connect to the message broker: ${error.message}`, EX_UNAVAILABLE);
  }
}

function printReply(replies: Reply, withLines: boolean): void {
  for (const [node, reply] of Object.entries(replies)) {
    const { ok, lines } = shownReply(reply);
    process.stdout.write(`${node}: ${ok ? "OK" : "ERROR"}\n`);
    if (withLines) for (const line of lines) process.stdout.write(`    ${line}\n`);
  }
}
