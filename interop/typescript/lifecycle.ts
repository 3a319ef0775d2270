import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Celery, Ignore, Reject, type Self, type SignalName } from "celeriac";

class KeyError extends Error {
  static pythonName = "builtins.KeyError";
}

/** As Python prints it, for the few kinds that come. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "object" ? JSON.stringify(value).replaceAll('"', "'") : String(value);
}

function told(...words: unknown[]): void {
  appendFileSync(process.env.CELERIAC_TOLD ?? "", `${words.map(shown).join(" ")}\n`);
}

/** A Python class's name. */
function named(error: unknown): string {
  if (error instanceof KeyError) return "KeyError";
  return error instanceof RangeError ? "ValueError" : (error as Error).name;
}

export const app = new Celery("interop", {
  taskDefaultQueue: process.env.CELERIAC_TASK_QUEUE ?? "celery",
  ...JSON.parse(process.env.CELERIAC_SETTINGS ?? "{}"),
});

app.task(
  {
    name: "lifecycle.run",
    bind: true,
    throws: [KeyError],
    acksLate: true,
    beforeStart(taskId, args, kwargs) {
      told(taskId, "before_start", args, kwargs);
      if (args[0] === "unready") throw new RangeError("not ready");
    },
    onSuccess(retval, taskId, args, kwargs) {
      told(taskId, "on_success", retval, args, kwargs, this.request.id);
      if (args[0] === "hook") throw new RangeError("on_success");
    },
    onFailure(exc, taskId, args, kwargs, einfo) {
      told(taskId, "on_failure", named(exc), args, kwargs, einfo.traceback !== "");
    },
    onRetry(exc, taskId, args, kwargs) {
      told(taskId, "on_retry", named(exc), args, kwargs);
    },
    async afterReturn(status, retval, taskId) {
      await sleep(5);
      told(taskId, "after_return", status, status === "FAILURE" ? named(retval) : retval);
    },
  },
  async (self: Self, kind: string, by: unknown = null) => {
    if (kind === "fail") throw new RangeError("bad");
    if (kind === "expected") throw new KeyError("known");
    if (kind === "retry" && self.request.retries === 0) {
      throw self.retry({ exc: new RangeError("not yet"), countdown: 0 });
    }
    if (kind === "ignore") throw new Ignore();
    if (kind === "reject") throw new Reject("no", false);
    if (kind === "sleep") await sleep(60_000);
    return by;
  },
);

const { signals } = app;
signals.connect("task_prerun", ({ taskId }) => told(taskId, "task_prerun"));
signals.connect("task_postrun", ({ taskId, state }) => told(taskId, "task_postrun", state));
signals.connect("task_success", ({ taskId, result }) => told(taskId, "task_success", result));
signals.connect("task_failure", ({ taskId, exception }) => told(taskId, "task_failure", named(exception)));
signals.connect("task_retry", ({ request, reason }) =>
  told(request.id, "task_retry", named((reason as { exc: unknown }).exc)),
);
signals.connect("task_received", ({ request }) => told(request.id, "task_received", request.name));
signals.connect("task_revoked", ({ request, terminated, signum, expired }) =>
  told(request.id, "task_revoked", terminated, signum, expired),
);
signals.connect("task_unknown", ({ id, name }) => told(id, "task_unknown", name));
signals.connect("celeryd_init", ({ sender, conf }) => {
  told("worker", "celeryd_init", sender);
  conf.taskDefaultRateLimit = null;
});
const ofWorkers: SignalName[] = ["worker_init", "celeryd_after_setup", "worker_ready", "worker_process_init"];
for (const name of [...ofWorkers, "worker_shutting_down", "worker_shutdown"] as const) {
  signals.connect(name, () => told("worker", name));
}
