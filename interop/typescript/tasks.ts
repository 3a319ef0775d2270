import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Celery } from "celeriac";

/** What the celeriac workers of `compose.yaml` and `celeriac.ts` serve; told by the same environment as `../python/tasks.py`. */
export const app = new Celery("interop", {
  taskDefaultQueue: process.env.CELERIAC_TASK_QUEUE ?? "celery",
  ...JSON.parse(process.env.CELERIAC_SETTINGS ?? "{}"),
});

app.task("tasks.add", (x: number, y: number) => x + y);
app.task({ name: "tasks.whoami", bind: true }, (self) => self.request.hostname);
app.task("tasks.sleep", async (seconds: number) => {
  await sleep(seconds * 1000);
  return seconds;
});
app.task("tasks.die", async (signum: number) => {
  if (signum === 0) process.exit(3);
  process.kill(process.pid, signum);
  await sleep(60_000);
});
app.task({ name: "tasks.acks_late_sleep", acksLate: true }, async (seconds: number, value: unknown) => {
  await sleep(seconds * 1000);
  return value;
});
app.task("tasks.append", async (path: string, line: string) => {
  await sleep(20);
  await appendFile(path, `${line}\n`);
});
app.task("tasks.fail", (message: string) => {
  throw new RangeError(message);
});
app.task({ name: "tasks.flaky", bind: true }, (self, failures: number) => {
  if (self.request.retries < failures) throw self.retry({ countdown: 0.1, exc: new RangeError("not yet") });
  return self.request.retries;
});
