import { type Command, InvalidArgumentError, Option } from "commander";
import { nodeFormat } from "../../app/nodename.ts";
import type { Logger, Worker } from "../../index.ts";
import { maskedUrl } from "../../masked-url.ts";
import { banner } from "../banner.ts";
import { commandContext, type GlobalOptions, type LoggingOptions } from "../context.ts";
import { CommandFailure } from "../errors.ts";
import { EX_OK } from "../exit-codes.ts";
import { serveHealth } from "../health.ts";
import { includeModules } from "../load-app.ts";
import { LOG_LEVELS } from "../log.ts";
import { takePidfile } from "../pidfile.ts";
import { runAgain } from "../restart.ts";
import { stopOnSignals } from "../signals.ts";
import { addUnsupportedOptions, refuseUnsupported } from "../unsupported.ts";
import { address, count, countOrNone, names, range, seconds } from "../values.ts";

interface WorkerCommandOptions extends GlobalOptions, LoggingOptions {
  hostname?: string;
  queues?: string[];
  excludeQueues?: string[];
  concurrency?: number;
  pool?: string;
  taskEvents?: boolean;
  prefetchMultiplier?: number;
  disablePrefetch?: boolean;
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
  autoscale?: { max: number; min: number };
}

/** Where tasks can run, under our names and under Celery's. */
const POOLS = ["async", "solo", "threads", "processes", "prefork", "eventlet", "gevent"];

/** `celeriac worker`. Mirrors `celery/bin/worker.py`. */
export function addWorkerCommand(program: Command, done: (exitCode: number) => void): void {
  addUnsupportedOptions(program.command("worker"))
    .summary("start a worker")
    .description(
      "Starts a worker: it takes tasks from queues and runs them until it is stopped. SIGTERM or Ctrl+C stops it warm, " +
        "which lets running tasks finish; a second one, or SIGQUIT, stops it cold. SIGHUP restarts it, SIGUSR1 shows " +
        "what runs.",
    )
    .optionsGroup("Worker Options:")
    .option(
      "-n, --hostname <name>",
      "the node's name, celeriac@%h by default; %h is the host, %n its first part, %d its domain",
    )
    .option(
      "-I, --include <modules>",
      "more modules to import, or patterns of files such as 'tasks/**/*.js', with commas between them",
      names,
    )
    .option(
      "-S, --statedb <path>",
      "keep revoked tasks in this file between two runs; %n is the node's name before the @, %p all of it",
    )
    .option("--purge", "drop all waiting tasks first; they cannot be had back")
    .option("--discard", "the same as --purge")
    .addOption(logLevel())
    .option("-f, --logfile <path>", "append the log to a file; stderr otherwise; %n %h %d %i are filled in")
    .addOption(
      new Option("--logformat <format>", "how a line looks; pretty on a terminal, else json").choices([
        "pretty",
        "json",
      ]),
    )
    .option("--pidfile <path>", "write the process id there, and remove it at the end; %n %h %d are filled in")
    .option("--health <host:port>", "answer 200 on / while it consumes, 503 when not", address)
    .optionsGroup("Pool Options:")
    .option(
      "-c, --concurrency <number>",
      "how many tasks run at a time (default: one for each processor, 10 with -P async)",
      count,
    )
    .option(
      "-P, --pool <name>",
      "where tasks run: async (default) or solo in this process; threads; processes, which can be killed",
      poolName,
    )
    .option("--autoscale <max,min>", "let the pool grow and shrink between these two with the tasks in hand", range)
    .option("-E, --task-events", "send events that monitors such as Flower show")
    .option("--time-limit <seconds>", "hard time limit of tasks that have none of their own", seconds)
    .option("--soft-time-limit <seconds>", "soft time limit of tasks that have none of their own", seconds)
    .option("--prefetch-multiplier <number>", "how many tasks to hold for each slot; 0 for no limit", countOrNone)
    .option("--disable-prefetch", "take a task only when it can run at once (on Redis)")
    .option("--max-tasks-per-child <number>", "how many tasks a thread or process runs before it is replaced", count)
    .option("--max-memory-per-child <KiB>", "memory after which a thread or process is replaced", count)
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
  refuseUnsupported({ ...options });
  const { app, log, quiet, childOptions } = await commandContext(options, { needsApp: true });
  let removePidfile: (() => void) | undefined;
  try {
    for (const module of options.include ?? []) await includeModules(module);
    const worker = app.worker({
      ...given("hostname", options.hostname),
      ...given("queues", options.queues),
      ...given("excludeQueues", options.excludeQueues),
      ...given("concurrency", options.concurrency),
      ...given("pool", options.pool),
      ...given("taskEvents", options.taskEvents),
      ...given("prefetchMultiplier", options.prefetchMultiplier),
      ...given("disablePrefetch", options.disablePrefetch),
      ...given("heartbeatInterval", options.heartbeatInterval),
      ...given("timeLimit", options.timeLimit),
      ...given("softTimeLimit", options.softTimeLimit),
      ...given("stateDb", options.statedb),
      withoutGossip: options.withoutGossip === true,
      withoutMingle: options.withoutMingle === true,
      ...given("autoscale", options.autoscale),
      ...given("maxTasksPerChild", options.maxTasksPerChild),
      ...given("maxMemoryPerChild", options.maxMemoryPerChild),
      ...given("module", options.app ?? process.env.CELERY_APP),
      ...given("include", options.include),
      childOptions,
      purge: options.purge === true || options.discard === true,
      withoutHeartbeat: options.withoutHeartbeat === true,
    });
    if (process.stdout.isTTY && !quiet) {
      const { brokerReadUrl, brokerUrl } = app.settings;
      process.stdout.write(
        banner(app, worker, maskedUrl([brokerReadUrl ?? brokerUrl].flat().join(";")), worker.queues),
      );
    }
    if (options.pidfile !== undefined) removePidfile = takePidfile(nodeFormat(options.pidfile, worker.hostname));
    if (options.health) await startHealth(options.health, worker);
    reportStrayErrors(log.log);
    const stop = stopOnSignals(worker, log.say, {
      hangupRestarts: !process.stdin.isTTY,
      termIsQuit: process.env.REMAP_SIGTERM === "SIGQUIT",
    });
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
    if (!stop.restart) return exitCode;
  } finally {
    removePidfile?.();
    log.flush();
  }
  return runAgain();
}

function given<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function poolName(text: string): string {
  if (POOLS.includes(text)) return text;
  throw new InvalidArgumentError(`It is one of ${POOLS.join(", ")}.`);
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

/** A promise or a timer that a task forgot must not end the tasks beside it. */
function reportStrayErrors(log: Logger): void {
  const report =
    (what: string) =>
    (error: unknown): void => {
      try {
        log.error({ err: error }, `${what}: ${describe(error)}`);
      } catch {
        log.error({}, `${what}: what was thrown cannot be read`);
      }
    };
  process.on("unhandledRejection", report("Unhandled rejection"));
  process.on("uncaughtException", report("Uncaught exception"));
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
