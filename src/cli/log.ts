import { mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { inspect, styleText } from "node:util";
import { type DestinationStream, destination, type Logger as Pino, pino } from "pino";
import { CommandFailure } from "./errors.ts";

/** Celery's names for how much is logged, and pino's. */
const LEVELS: Readonly<Record<string, string>> = {
  DEBUG: "debug",
  INFO: "info",
  WARNING: "warn",
  WARN: "warn",
  ERROR: "error",
  CRITICAL: "fatal",
  FATAL: "fatal",
};

export const LOG_LEVELS = Object.keys(LEVELS).filter((name) => name !== "WARN");

/** Whether lines are for people or for machines. */
export type LogFormat = "pretty" | "json";

/** How the worker logs. */
export interface LogOptions {
  /** One of {@link LOG_LEVELS}, in any case. */
  level: string;
  /** A file to append to; stderr when left out. */
  file?: string | undefined;
  /** `pretty` on a terminal, else `json`, unless given. */
  format?: LogFormat | undefined;
  colour: boolean;
  /** True to write every line at once: for a process that may be killed at any time. */
  sync?: boolean;
}

/** A logger and the way to have all of it written before the process ends. */
export interface CommandLog {
  log: Pino;
  /** Says something at once to whoever sent a signal: as it is to people, as a line of the log to machines. */
  say(text: string): void;
  flush(): void;
}

/**
 * One line an event: for people on a terminal, JSON otherwise. Written in the background, many lines at a time.
 * @throws CommandFailure when the file cannot be written to
 */
export function commandLog({ level, file, format, colour, sync = false }: LogOptions): CommandLog {
  const sink = destination({ dest: file === undefined ? 2 : opened(file), sync });
  // A reader that went away is no reason to stop working.
  sink.on("error", () => undefined);
  const pretty = (format ?? (file === undefined && process.stderr.isTTY ? "pretty" : "json")) === "pretty";
  const target: DestinationStream = pretty ? { write: (line) => void sink.write(readable(line, colour)) } : sink;
  const log = pino(
    { level: levelOf(level), base: { pid: process.pid }, serializers: { err: pino.stdSerializers.err } },
    target,
  );
  return {
    log,
    say: pretty ? (text) => void process.stderr.write(`${text}\n`) : (text) => log.warn(text),
    flush: () => {
      try {
        sink.flushSync();
      } catch {
        // Nothing was opened yet, so nothing is lost.
      }
    },
  };
}

/** A path that cannot be written to is told before the work begins. */
function opened(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, "a");
  } catch (error) {
    throw new CommandFailure(`--logfile ${file}: ${(error as Error).message}`);
  }
}

/** pino's name of a level. */
export function levelOf(name: string): string {
  return LEVELS[name.toUpperCase()] ?? "warn";
}

const SHOWN: Readonly<Record<number, [name: string, style: Parameters<typeof styleText>[0]]>> = {
  10: ["TRACE", "gray"],
  20: ["DEBUG", "blue"],
  30: ["INFO", "green"],
  40: ["WARNING", "yellow"],
  50: ["ERROR", "red"],
  60: ["CRITICAL", "magenta"],
};

/** Celery's line: `[2031-05-06 07:08:09,123: INFO] Task tasks.add[…] received`, with an error's traceback below it. */
function readable(line: string, colour: boolean): string {
  const { level, time, msg, err, traceback } = JSON.parse(line) as {
    level: number;
    time: number;
    msg?: string;
    err?: { stack?: string };
    traceback?: string;
  };
  const [name, style] = SHOWN[level] ?? ["INFO", "green"];
  const stamp = `[${localTime(new Date(time))}: ${name}]`;
  const head = colour ? styleText(style, stamp) : stamp;
  const told = err?.stack ?? traceback;
  const below = level >= 50 && told && !msg?.includes(told) ? `\n${told}` : "";
  return `${head} ${msg ?? inspect(err)}${below}\n`;
}

function localTime(date: Date): string {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${clock},${String(date.getMilliseconds()).padStart(3, "0")}`;
}
