import { type Command, InvalidArgumentError, Option } from "commander";
import type { Worker } from "../../index.ts";
import { maskedUrl } from "../../masked-url.ts";
import { banner } from "../banner.ts";
import { commandContext, type GlobalOptions, type LoggingOptions } from "../context.ts";
import { CommandFailure } from "../errors.ts";
import { EX_OK } from "../exit-codes.ts";
import { serveHealth } from "../health.ts";
import { includeModule } from "../load-app.ts";
import { LOG_LEVELS } from "../log.ts";
import { takePidfile } from "../pidfile.ts";
import { stopOnSignals } from "../signals.ts";
import { address, count, countOrNone, names, seconds } from "../values.ts";

interface WorkerCommandOptions extends GlobalOptions, LoggingOptions {
  hostname?: string;
  queues?: string[];
  excludeQueues?: string[];
  concurrency?: number;
  pool?: string;
  taskEvents?: boolean;
  prefetchMultiplier?: number;
  include?: string[];
  purge?: boolean;
  softTimeLimit?: number;
  timeLimit?: number;
  heartbeat: boolean;
  heartbeatInterval?: number;
  pidfile?: string;
  statedb?: string;
  withoutMingle?: boolean;
  withoutGossip?: boolean;
  health?: { host: string; port: number };
  maxTasksPerChild?: number;
  maxMemoryPerChild?: number;
}

/** `celeriac worker`. Mirrors `celery/bin/worker.py`. */
export function addWorkerCommand(program: Command, done: (exitCode: number) => void): void {
  program
    .command("worker")
    .summary("start a worker")
    .description(
      "Starts a worker: it takes tasks from queues and runs them until it is stopped. SIGTERM or Ctrl+C stops it warm, " +
        "which lets running tasks finish; a second one stops it cold.",
    )
    .optionsGroup("Worker Options:")
    .option(
      "-n, --hostname <name>",
      "the node's name, celeriac@%h by default; %h is the host, %n its first part, %d its domain",
    )
    .option("-I, --include <modules>", "more modules to import, with commas between them", names)
    .option(
      "-S, --statedb <path>",
      "keep revoked tasks in this file between two runs; %n is the node's name before the @, %h all of it",
    )
    .option("--purge", "drop all waiting tasks first; they cannot be had back")
    .option("--discard", "the same as --purge")
    .addOption(logLevel())
    .option("-f, --logfile <path>", "append the log to a file; stderr otherwise")
    .addOption(
      new Option("--logformat <format>", "how a line looks; pretty on a terminal, else json").choices([
        "pretty",
        "json",
      ]),
    )
    .option("--pidfile <path>", "write the process id there, and remove it at the end")
    .option("--health <host:port>", "answer 200 on / while it consumes, 503 when not", address)
    .optionsGroup("Pool Options:")
    .option("-c, --concurrency <number>", "how many tasks run at a time (default: 10 for each processor)", count)
    .option("-P, --pool <name>", "where tasks run: async", poolName)
    .option("-E, --task-events", "send events that monitors such as Flower show")
    .option("--time-limit <seconds>", "hard time limit of tasks that have none of their own", seconds)
    .option("--soft-time-limit <seconds>", "soft time limit of tasks that have none of their own", seconds)
    .option("--prefetch-multiplier <number>", "how many tasks to hold for each slot; 0 for no limit", countOrNone)
    .option("--max-tasks-per-child <number>", "without effect in the async pool, which has no children", count)
    .option("--max-memory-per-child <kilobytes>", "without effect in the async pool, which has no children", count)
    .optionsGroup("Queue Options:")
    .option("-Q, --queues <names>", "take from these queues, with commas between them", names)
    .option("-X, --exclude-queues <names>", "take from all queues but these", names)
    .optionsGroup("Features:")
    .option("--without-gossip", "take no part in what the workers tell each other")
    .option("--without-mingle", "do not ask the other workers at the start which tasks are revoked")
    .option("--without-heartbeat", "send no heartbeat events")
    .option("--heartbeat-interval <seconds>", "seconds between heartbeat events", seconds)
    .action(async (_: unknown, command: Command) => done(await runWorker(command.optsWithGlobals())));
}

async function runWorker(
  options: WorkerCommandOptions & { discard?: boolean; withoutHeartbeat?: boolean },
): Promise<number> {
  const { app, log, quiet } = await commandContext(options, { needsApp: true });
  let removePidfile: (() => void) | undefined;
  try {
    for (const module of options.include ?? []) await includeModule(module);
    for (const [option, value] of Object.entries({
      "--max-tasks-per-child": options.maxTasksPerChild,
      "--max-memory-per-child": options.maxMemoryPerChild,
    })) {
      if (value !== undefined) log.log.warn({}, `${option} has no effect: the async pool has no child processes`);
    }
    const worker = app.worker({
      ...given("hostname", options.hostname),
      ...given("queues", options.queues),
      ...given("excludeQueues", options.excludeQueues),
      ...given("concurrency", options.concurrency),
      ...given("pool", options.pool),
      ...given("taskEvents", options.taskEvents),
      ...given("prefetchMultiplier", options.prefetchMultiplier),
      ...given("heartbeatInterval", options.heartbeatInterval),
      ...given("timeLimit", options.timeLimit),
      ...given("softTimeLimit", options.softTimeLimit),
      ...given("stateDb", options.statedb),
      withoutGossip: options.withoutGossip === true,
      withoutMingle: options.withoutMingle === true,
      purge: options.purge === true || options.discard === true,
      withoutHeartbeat: options.withoutHeartbeat === true,
    });
    if (process.stdout.isTTY && !quiet) {
      const { brokerReadUrl, brokerUrl } = app.settings;
      process.stdout.write(
        banner(app, worker, maskedUrl([brokerReadUrl ?? brokerUrl].flat().join(";")), worker.queues),
      );
    }
    if (options.pidfile !== undefined) removePidfile = takePidfile(options.pidfile);
    if (options.health) await startHealth(options.health, worker);
    reportStrayErrors((error) => log.log.error({ err: error }, `Unhandled rejection: ${describe(error)}`));
    const stop = stopOnSignals(worker, log.say);
    try {
      await Promise.race([worker.start(), worker.stopped, stop.exitCode]);
    } catch (error) {
      // Stopping while it still connects ends the start with an error that nobody needs to see.
      if (!stop.asked) {
        // What it has connected already would keep the process.
        await app.close();
        throw error;
      }
    }
    // Remote control stops it without a signal; a signal that comes then may still stop it cold.
    const exitCode = await Promise.race([
      stop.exitCode,
      worker.stopped.then(() => (stop.asked ? stop.exitCode : EX_OK)),
    ]);
    await app.close();
    return exitCode;
  } finally {
    removePidfile?.();
    log.flush();
  }
}

function given<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function poolName(text: string): string {
  // Python's default, named by scripts that were written for it.
  if (text === "prefork") return "async";
  if (text !== "async") throw new InvalidArgumentError("The only pool so far is async.");
  return text;
}

export function logLevel(): Option {
  return new Option("-l, --loglevel <level>", `how much is logged: ${LOG_LEVELS.join(", ")}`)
    .default("WARNING")
    .argParser((text: string) => {
      if (LOG_LEVELS.includes(text.toUpperCase())) return text.toUpperCase();
      throw new InvalidArgumentError(`It is one of ${LOG_LEVELS.join(", ")}.`);
    });
}

async function startHealth(where: { host: string; port: number }, worker: Worker): Promise<void> {
  try {
    await serveHealth(where, () => ({ consuming: worker.consuming, body: { hostname: worker.hostname } }));
  } catch (error) {
    throw new CommandFailure(`--health ${where.host}:${where.port}: ${describe(error)}`);
  }
}

/** A promise that a task forgot must not end the tasks beside it. */
function reportStrayErrors(report: (error: unknown) => void): void {
  process.on("unhandledRejection", report);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
