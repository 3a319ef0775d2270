import { type Command, InvalidArgumentError } from "commander";
import { loadsForward } from "../../../protocol/serialization/json-reader.ts";
import { commandContext, type GlobalOptions } from "../context.ts";
import { moment, seconds, secondsOrMoment } from "../values.ts";

interface CallOptions extends GlobalOptions {
  args?: unknown[];
  kwargs?: Record<string, unknown>;
  eta?: Date;
  countdown?: number;
  expires?: number | Date;
  serializer?: string;
  queue?: string;
  exchange?: string;
  routingKey?: string;
}

/** `celeriac call`. Mirrors `celery/bin/call.py`. */
export function addCallCommand(program: Command): void {
  program
    .command("call")
    .summary("call a task by name")
    .description("Calls a task by name, and prints its id.")
    .argument("<name>", "the task's name")
    .optionsGroup("Calling Options:")
    .option("-a, --args <json>", "positional arguments, a JSON list", list)
    .option("-k, --kwargs <json>", "keyword arguments, a JSON object", object)
    .option("--eta <time>", "not before this time, in ISO 8601", moment)
    .option("--countdown <seconds>", "not before so many seconds from now", seconds)
    .option("--expires <seconds-or-time>", "not later than this", secondsOrMoment)
    .option("--serializer <name>", "how to write the arguments (default: json)")
    .optionsGroup("Routing Options:")
    .option("--queue <name>", "send it to this queue")
    .option("--exchange <name>", "send it to this exchange")
    .option("--routing-key <key>", "with this routing key")
    .action(async (name: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<CallOptions>();
      const { app } = await commandContext(options);
      try {
        const { args = [], kwargs = {}, eta, countdown, expires, serializer, queue, exchange, routingKey } = options;
        const wanted = { eta, countdown, expires, serializer, queue, exchange, routingKey };
        const set = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
        const result = await app.sendTask(name, args, { kwargs, ...set });
        process.stdout.write(`${result.id}\n`);
      } finally {
        await app.close();
      }
    });
}

function list(text: string): unknown[] {
  const value = json(text);
  if (!Array.isArray(value)) throw new InvalidArgumentError("It is a JSON list, such as '[1, \"two\"]'.");
  return value;
}

function object(text: string): Record<string, unknown> {
  const value = json(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError("It is a JSON object, such as '{\"x\": 1}'.");
}

/** Keeps what JavaScript's own reader would change: `1.0` is sent as `1.0`. */
function json(text: string): unknown {
  try {
    return loadsForward(text);
  } catch (error) {
    throw new InvalidArgumentError(`It is no JSON: ${(error as Error).message}`);
  }
}
