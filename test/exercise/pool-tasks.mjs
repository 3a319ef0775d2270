import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import { Celery, Float, Ignore, Reject } from "celeriac";

/** What the pools are exercised with; told by the environment, as every application under test. */
export const app = new Celery("shop", {
  taskDefaultQueue: process.env.QUEUE,
  controlExchange: process.env.QUEUE,
  eventExchange: process.env.QUEUE,
  ...JSON.parse(process.env.SETTINGS ?? "{}"),
});

class OutOfStock extends Error {
  static pythonName = "shop.errors.OutOfStock";
  args = ["apples", 3];
}

/** Holds the thread that it is called in, as a long calculation does. */
function block(seconds) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end);
}

const kept = [];

app.task("tasks.add", (x, y) => x + y);
app.task("tasks.echo", (value) => value);
app.task("tasks.values", () => ({
  float: new Float(1),
  big: 2n ** 70n,
  at: new Date(0),
  bytes: new Uint8Array([0, 255]),
}));
app.task("tasks.sleep", async (seconds) => {
  await sleep(seconds * 1000);
  return "slept";
});
app.task({ name: "tasks.block", trackStarted: true }, (seconds) => {
  block(seconds);
  return "blocked";
});
app.task("tasks.where", () => [process.pid, threadId]);
app.task("tasks.fail", () => {
  throw new OutOfStock("too few");
});
app.task({ name: "tasks.expected", throws: [OutOfStock] }, () => {
  throw new OutOfStock("too few");
});
app.task("tasks.unwritable", () => new Map([["a", 1]]).keys());
app.task({ name: "tasks.flaky", bind: true }, (self, failures) => {
  if (self.request.retries < failures) throw self.retry({ countdown: 0.05, exc: new RangeError("not yet") });
  return self.request.retries;
});
app.task({ name: "tasks.again", bind: true }, (self, word) => {
  if (self.request.retries === 0) throw self.retry({ countdown: 0, args: ["other"], headers: { tenant: "a" } });
  return [word, self.request.headers.tenant];
});
app.task({ name: "tasks.auto", bind: true, autoretryFor: [OutOfStock], maxRetries: 2, defaultRetryDelay: 0.05 }, () => {
  throw new OutOfStock("too few");
});
app.task({ name: "tasks.replaced", bind: true }, (self, x) => {
  throw self.replace(app.signature("tasks.add", [x, 40]));
});
app.task({ name: "tasks.progress", bind: true }, async (self) => {
  await self.updateState({ state: "PROGRESS", meta: { done: new Float(1) } });
  await sleep(1000);
  return "done";
});
app.task("tasks.inside", async () => {
  const { id, rootId } = app.currentTask.request;
  const sent = await app.sendTask("tasks.lineage");
  return { id, rootId, sent: sent.id, lineage: await sent.get({ timeout: 20 }) };
});
app.task({ name: "tasks.lineage", bind: true }, ({ request }) => [request.parentId, request.rootId]);
app.task({ name: "tasks.request", bind: true }, ({ request }, _word) => ({
  name: request.name,
  retries: request.retries,
  args: request.args,
  hostname: request.hostname,
  routingKey: request.deliveryInfo.routingKey,
}));
app.task("tasks.ignored", () => {
  throw new Ignore();
});
app.task("tasks.rejected", () => {
  throw new Reject("not here");
});
app.task({ name: "tasks.gentle", bind: true, softTimeLimit: 0.3 }, async (self) => {
  await new Promise((resolve) => self.signal.addEventListener("abort", resolve));
  return self.signal.reason.constructor.name;
});
app.task("tasks.endless", () => new Promise(() => setInterval(() => undefined, 1000)));
app.task("tasks.exit", (code) => process.exit(code));
app.task("tasks.uncaught", async () => {
  setImmediate(() => {
    throw new Error("nobody catches this");
  });
  await sleep(5000);
});
app.task("tasks.signal", async (signal) => {
  process.kill(process.pid, signal);
  await sleep(5000);
});
app.task("tasks.hoard", (megabytes) => {
  kept.push(...Array.from({ length: megabytes * 8 }, (_, n) => new Array(16_000).fill(n + 0.5)));
  return [process.pid, threadId];
});

/** Leaves a line for each run. */
const ran = (word) => appendFileSync("runs", `${word}\n`);

app.task({ name: "tasks.lost", acksLate: true, rejectOnWorkerLost: true }, (word) => {
  ran(word);
  process.exit(1);
});
app.task({ name: "tasks.lost_once", acksLate: true }, (word) => {
  ran(word);
  process.exit(1);
});
app.task({ name: "tasks.lost_retry", retryOnWorkerLost: true, maxRetries: 1, defaultRetryDelay: 0.1 }, (word) => {
  ran(word);
  process.exit(1);
});
app.task({ name: "tasks.fatal", acksLate: true }, (word) => {
  ran(word);
  process.kill(process.pid, "SIGKILL");
});
app.task({ name: "tasks.once", acksLate: true }, (word) => {
  ran(word);
  return word;
});
app.task({ name: "tasks.late", acksLate: true }, async (word) => {
  ran(word);
  await sleep(60_000);
});
