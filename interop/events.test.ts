import { beforeAll, describe, expect, inject, it } from "vitest";
import { eventually } from "../test/support/eventually.ts";
import { Project } from "../test/support/project.ts";
import { startCeleriac } from "./celeriac.ts";
import { PythonClient, PythonWorker } from "./python.ts";
import { type Sides, sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");

/** An event as Python's receiver hands it out. */
type Event = Record<string, unknown> & { type: string };

/** What a worker told of itself and of the same few tasks. */
interface Told {
  events: Event[];
  /** Of each type, the fields of the first event and their types in Python. */
  fields: Record<string, Record<string, string>>;
  /** What Celery's own monitor makes of it. */
  state: { workers: Record<string, unknown>; tasks: Record<string, Record<string, unknown>> };
}

const TYPES = [
  ...["task-received", "task-started", "task-succeeded", "task-failed", "task-retried", "task-revoked"],
  ...["worker-online", "worker-heartbeat", "worker-offline"],
].sort();

/** Listens as Flower does, from before the worker's start to its end. */
const LISTEN = `
import threading
seen = []
monitor = app.events.State()

def on_event(event):
    monitor.event(dict(event))
    seen.append(event)

def listen():
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": on_event})
        receiver.on_consume_ready = lambda *args, **options: listening.set()
        receiver.capture(limit=None, timeout=None, wakeup=False)

listening = threading.Event()
threading.Thread(target=listen, daemon=True).start()
result = listening.wait(20)
`;

const TOLD = `
first = {}
for event in seen:
    first.setdefault(event["type"], {name: type(value).__name__ for name, value in event.items()})
kept = ("name", "state", "args", "kwargs", "result", "exception", "retries", "root_id", "parent_id")
result = {
    "events": seen,
    "fields": first,
    "state": {
        "workers": {worker.hostname: worker.alive for worker in monitor.workers.values()},
        "tasks": {task.uuid: {name: getattr(task, name) for name in kept} for task in monitor.tasks.values()},
    },
}
`;

/** Has a worker do every kind of thing that there is an event for, and stops it. */
async function scenario(client: PythonClient, queue: string, stop: () => Promise<unknown>): Promise<Told> {
  const has = (type: string, id?: string): Promise<unknown> =>
    eventually(
      () => client.run(`any(e["type"] == "${type}" and ${id ? `e["uuid"] == "${id}"` : "True"} for e in seen)`),
      20_000,
    );
  await has("worker-online");
  await client.run(`
to = {"queue": "${queue}"}
app.send_task("tasks.add", (1, 2), task_id="succeeds", **to)
app.send_task("tasks.fail", ("bad",), task_id="fails", **to)
app.send_task("tasks.flaky", (1,), task_id="retries", **to)
app.send_task("tasks.add", (1, 2), task_id="expires", expires=-1, **to)
app.send_task("tasks.sleep", (60,), task_id="terminated", **to)`);
  await has("task-started", "terminated");
  await client.run(`app.control.revoke("terminated", terminate=True)`);
  await Promise.all([
    has("task-succeeded", "succeeds"),
    has("task-failed", "fails"),
    has("task-succeeded", "retries"),
    has("task-revoked", "expires"),
    has("task-revoked", "terminated"),
    has("worker-heartbeat"),
  ]);
  await stop();
  await has("worker-offline");
  return client.run<Told>(TOLD);
}

/** A client that listens, and the sides that it shares with a worker. */
async function listener(transport: Transport): Promise<{ sides: Sides; client: PythonClient }> {
  const sides = sidesOf(transport, python);
  const client = new PythonClient(sides.python);
  expect(await client.run(LISTEN)).toBe(true);
  return { sides, client };
}

async function fromPython(transport: Transport): Promise<Told> {
  const { sides, client } = await listener(transport);
  const worker = await PythonWorker.start(sides.python, ["-c", "2", "-E"]);
  const told = await scenario(client, sides.queues.python, () => worker[Symbol.asyncDispose]());
  await client[Symbol.asyncDispose]();
  return told;
}

async function fromCeleriac(transport: Transport): Promise<Told> {
  const { sides, client } = await listener(transport);
  await using project = new Project();
  const worker = await startCeleriac(project, sides.python, ["-E", "-n", "node@here", "--heartbeat-interval", "0.5"]);
  const told = await scenario(client, sides.queues.python, () => {
    worker.signal("SIGTERM");
    return worker.ended();
  });
  await client[Symbol.asyncDispose]();
  return told;
}

describe.skipIf(!python)("events, as Celery's own receiver sees them (needs Python 3)", () => {
  const [redis, ...others] = transports().filter(({ name }) => !name.includes("results in Redis"));
  let theirs: Told;

  beforeAll(async () => {
    theirs = await fromPython(redis as Transport);
  });

  it("Python's own worker sends those that are compared here", () => {
    expect(Object.keys(theirs.fields).sort()).toEqual(TYPES);
  });

  describe.each([redis as Transport, ...others])("from a celeriac worker over $name", (transport) => {
    let ours: Told;

    beforeAll(async () => {
      ours = await fromCeleriac(transport);
    });

    const told = (type: string, id?: string): Event[] =>
      ours.events.filter((event) => event.type === type && (id === undefined || event.uuid === id));

    it.each(TYPES)("%s has the fields that Python's worker sends, of the same types", (type) => {
      expect(ours.fields[type]).toEqual(theirs.fields[type]);
    });

    it("has no other types", () => {
      expect(Object.keys(ours.fields).sort()).toEqual(TYPES);
    });

    const order = ({ events }: Told, id: string): string[] =>
      events.filter(({ uuid }) => uuid === id).map(({ type }) => type);

    it.each(["succeeds", "fails", "expires", "terminated"])("%s: tells of the task in the order of Python", (id) => {
      expect(order(ours, id)).toEqual(order(theirs, id));
    });

    it("retries: tells of the task as often as Python, which may receive it again before it says so", () => {
      expect(order(ours, "retries").sort()).toEqual(order(theirs, "retries").sort());
    });

    it("makes Celery's monitor see the same", () => {
      expect(ours.state.tasks).toEqual(theirs.state.tasks);
      expect(ours.state.workers).toEqual({ "node@here": false });
    });

    it("says what came of each task", () => {
      expect(told("task-succeeded", "succeeds")).toMatchObject([{ result: "3", hostname: "node@here" }]);
      expect(told("task-failed")).toMatchObject([{ uuid: "fails", exception: "ValueError('bad')" }]);
      expect(told("task-retried")).toMatchObject([{ uuid: "retries", exception: "ValueError('not yet')" }]);
      const revoked = { signum: null, terminated: false, expired: true };
      expect(told("task-revoked", "expires")).toMatchObject([revoked]);
      const [terminated] = theirs.events.filter(({ type, uuid }) => type === "task-revoked" && uuid === "terminated");
      const { signum, expired } = terminated as Event;
      expect(told("task-revoked", "terminated")).toMatchObject([{ terminated: true, signum, expired }]);
    });

    it("counts its clock up, event by event", () => {
      const clocks = ours.events.filter(({ hostname }) => hostname === "node@here").map(({ clock }) => Number(clock));
      expect(new Set(clocks).size).toBe(clocks.length);
    });
  });
});
