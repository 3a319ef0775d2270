import { readFileSync } from "node:fs";
import { arch, release, type } from "node:os";
import type { Command } from "commander";
import type { Celery } from "../../index.ts";
import { maskedUrl } from "../../masked-url.ts";
import { VERSION } from "../../version.ts";
import { commandContext, type GlobalOptions } from "../context.ts";

/** Packages whose versions matter in a report. */
const DRIVERS = ["amqplib", "ioredis", "pg", "pino", "zod", "@msgpack/msgpack", "yaml"];

/** `celeriac report`. Mirrors `celery/bin/base.py` and `celery/app/utils.py bugreport`. */
export function addReportCommand(program: Command): void {
  program
    .command("report")
    .summary("show what a bug report needs")
    .description("Shows versions, the platform and the settings, passwords masked, to be pasted into a bug report.")
    .action(async (_: unknown, command: Command) => {
      const { app } = await commandContext(command.optsWithGlobals<GlobalOptions>());
      process.stdout.write(report(app));
      await app.close();
    });
}

function report(app: Celery): string {
  const { brokerUrl, resultBackend } = app.settings;
  const lines = [
    `software -> celeriac:${VERSION} node:${process.versions.node}`,
    `            ${DRIVERS.map((name) => `${name}:${versionOf(name)}`).join(" ")}`,
    `platform -> system:${type()} release:${release()} arch:${arch()}`,
    `settings -> app:${app.name} transport:${maskedUrl([brokerUrl].flat().join(";"))} results:${maskedUrl(resultBackend ?? "disabled")}`,
    "",
    ...Object.entries(app.settings).map(([name, value]) => `${name}: ${shown(name, value)}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** Settings whose names tell of secrets are hidden, as Celery hides them. */
const SECRET = /pass|secret|token|key(?!word)|signature|database/i;

function shown(name: string, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (SECRET.test(name) && name !== "taskDefaultRoutingKey") return "********";
  return JSON.stringify(value, (key, inner: unknown) => {
    if (key !== "" && SECRET.test(key)) return "********";
    return typeof inner === "string" ? maskedUrl(inner) : inner;
  });
}

function versionOf(name: string): string {
  try {
    const url = import.meta.resolve(name);
    const root = url.slice(0, url.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}/`.length);
    return JSON.parse(readFileSync(new URL("package.json", root), "utf8")).version;
  } catch {
    return "not installed";
  }
}
