import { readFileSync } from "node:fs";
import { arch, release, type } from "node:os";
import { maskedUrl } from "../masked-url.ts";
import { VERSION } from "../version.ts";
import type { Settings } from "./settings.ts";
import { settingsTable } from "./settings-table.ts";

/** Packages whose versions matter in a report. */
const DRIVERS = ["amqplib", "ioredis", "pg", "pino", "zod", "@msgpack/msgpack", "yaml"];

/**
 * What a bug report needs: versions, the platform and the settings, passwords masked.
 * Mirrors `celery/app/utils.py bugreport`.
 */
export function bugReport(name: string, settings: Settings): string {
  const { brokerUrl, resultBackend } = settings;
  const lines = [
    `software -> celeriac:${VERSION} node:${process.versions.node}`,
    `            ${DRIVERS.map((driver) => `${driver}:${versionOf(driver)}`).join(" ")}`,
    `platform -> system:${type()} release:${release()} arch:${arch()}`,
    `settings -> app:${name} transport:${maskedUrl([brokerUrl].flat().join(";"))} results:${maskedUrl(resultBackend ?? "disabled")}`,
    "",
    ...Object.entries(settingsTable(settings, null)).map(([setting, value]) => `${setting}: ${JSON.stringify(value)}`),
  ];
  return `${lines.join("\n")}\n`;
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
