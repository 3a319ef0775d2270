import { release, type } from "node:os";
import type { Celery, Worker } from "../index.ts";
import { maskedUrl } from "../masked-url.ts";
import { VERSION } from "../version.ts";

/** What a worker says of itself when it starts on a terminal. */
export function banner(app: Celery, worker: Worker, transport: string, queues: readonly string[]): string {
  const lines = [
    "",
    ` -------------- ${worker.hostname} v${VERSION} (celeriac)`,
    `--- ***** ----- `,
    `-- ******* ---- ${type()}-${release()} node-${process.versions.node}`,
    `- *** --- * --- `,
    "- ** ---------- [config]",
    `- ** ---------- .> app:         ${app.name}`,
    `- ** ---------- .> transport:   ${transport}`,
    `- ** ---------- .> results:     ${maskedUrl(app.settings.resultBackend ?? "disabled://")}`,
    `- *** --- * --- .> concurrency: ${worker.concurrency} (${worker.pool})`,
    `-- ******* ---- .> task events: ${worker.sendsEvents ? "ON" : "OFF (enable -E to monitor tasks in this worker)"}`,
    "--- ***** ----- ",
    " -------------- [queues]",
    ...queues.map((queue) => `                .> ${queue}`),
    "",
    "[tasks]",
    ...app.taskNames.map((name) => `  . ${name}`),
    "",
  ];
  return `${lines.join("\n")}\n`;
}
