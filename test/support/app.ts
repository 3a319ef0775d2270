import { randomUUID } from "node:crypto";
import { inject } from "vitest";
import { Celery, type GivenSettings, type Worker, type WorkerOptions } from "../../src/index.ts";
import type { Logger } from "../../src/logger.ts";

/** One line of a log. */
export interface LogLine {
  level: keyof Logger;
  text: string;
  fields: Record<string, unknown>;
}

/** An application that shares nothing with those of other tests but the servers. */
export interface TestApp {
  app: Celery;
  lines: LogLine[];
  /** Starts a worker, which is stopped with the application. */
  start(options?: WorkerOptions): Promise<Worker>;
  /** Lines that hold this text. */
  logged(text: string): LogLine[];
}

/** Settings that keep tests apart: queues, mailboxes and events of their own. */
export function ownSettings(): GivenSettings {
  const own = randomUUID().slice(0, 8);
  return {
    taskDefaultQueue: `test-${own}`,
    controlExchange: `control-${own}`,
    eventExchange: `events-${own}`,
    brokerConnectionRetryOnStartup: false,
  };
}

/** An application on the shared Redis, unless told otherwise. */
export function testApp(settings: GivenSettings = {}): TestApp {
  const lines: LogLine[] = [];
  const app = new Celery("shop", {
    broker: inject("redisUrl"),
    backend: inject("redisUrl"),
    ...ownSettings(),
    log: collectingLogger(lines),
    ...settings,
  });
  return {
    app,
    lines,
    async start(options = {}) {
      const worker = app.worker({ concurrency: 4, hostname: `worker-${randomUUID().slice(0, 8)}`, ...options });
      await worker.start();
      return worker;
    },
    logged: (text) => lines.filter((line) => line.text.includes(text)),
  };
}

/** A logger that keeps what it is told. */
export function collectingLogger(lines: LogLine[]): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, text = ""): void =>
      void lines.push({ level, text, fields: fields as Record<string, unknown> });
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), fatal: at("fatal") };
}
