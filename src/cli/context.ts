import { chdir } from "node:process";
import { nodeFormat, nodename } from "../app/nodename.ts";
import { overrideSettings } from "../app/overrides.ts";
import { Celery, type GivenSettings } from "../index.ts";
import { UsageError } from "./errors.ts";
import { loadApp } from "./load-app.ts";
import { type CommandLog, commandLog, type LogFormat, type LogOptions } from "./log.ts";

/** Options that every command has. */
export interface GlobalOptions {
  app?: string;
  broker?: string;
  resultBackend?: string;
  workdir?: string;
  color?: boolean;
  quiet?: boolean;
}

/** How a command logs. */
export interface LoggingOptions {
  loglevel?: string;
  logfile?: string;
  /** The worker's name, which the log file's may hold. */
  hostname?: string;
  logformat?: LogFormat;
}

/** The application that a command works for. */
export interface CommandContext {
  app: Celery;
  log: CommandLog;
  quiet: boolean;
  /** What a pool's children have to be told to work as this process does. */
  childOptions: { log: LogOptions & { pattern: string | undefined }; overrides: GivenSettings };
}

/**
 * Loads the application that `-A` names, or makes one that knows only its broker, with what the command line says
 * in the place of what the code says.
 * @throws UsageError when it cannot be found
 */
export async function commandContext(
  options: GlobalOptions & LoggingOptions,
  { needsApp = false }: { needsApp?: boolean } = {},
): Promise<CommandContext> {
  if (options.workdir) {
    try {
      chdir(options.workdir);
    } catch {
      throw new UsageError(`--workdir ${options.workdir}: there is no such folder`);
    }
  }
  const node = nodename(options.hostname);
  const colour = options.color !== false && process.env.NO_COLOR === undefined;
  const logOptions: LogOptions = {
    level: options.loglevel ?? "WARNING",
    file: options.logfile && nodeFormat(options.logfile, node),
    format: options.logformat,
    colour,
  };
  const log = commandLog(logOptions);
  const overrides: GivenSettings = {
    ...(options.broker !== undefined && { broker: options.broker }),
    ...(options.resultBackend !== undefined && { backend: options.resultBackend }),
  };
  overrideSettings({ ...overrides, log: log.log });
  const name = options.app ?? process.env.CELERY_APP;
  if (name === undefined && needsApp) {
    throw new UsageError("which application? Give its module with -A, for instance: celeriac -A ./tasks.js worker");
  }
  const app = name === undefined ? new Celery("default") : await loadApp(name);
  return {
    app,
    log,
    quiet: options.quiet === true,
    childOptions: { log: { ...logOptions, pattern: options.logfile }, overrides },
  };
}
