import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { eventually } from "../test/support/eventually.ts";
import { Project, type RunningCommand } from "../test/support/project.ts";
import { startCeleriac } from "./celeriac.ts";
import { PythonClient, PythonWorker, runCelery } from "./python.ts";
import { type Sides, sidesOf, type Transport, transports } from "./transports.ts";

const python = inject("python");

const OURS = "typescript@here";
const THEIRS = "python@here";

/** Of a reply: the keys and the types of the values, each kind in a list once. */
const SHAPES = `
import json
def shape(value):
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True): shape(inner) for inner in value}.values(), key=str)
    return type(value).__name__

def answers(replies):
    # Infinity is no JSON to JavaScript.
    plain = json.loads(json.dumps(replies or {}), parse_constant=str)
    return {node: {"reply": reply, "shape": shape(reply)} for node, reply in plain.items()}

def inspect(command, limit=2, timeout=10, **arguments):
    return answers(app.control.inspect(timeout=timeout, limit=limit)._request(command, **arguments))

def control(command, limit=2, timeout=10, destination=None, **arguments):
    replies = app.control.broadcast(
        command, arguments, reply=True, timeout=timeout, limit=limit, destination=destination)
    return answers({node: reply for one in replies for node, reply in one.items()})
`;

type Answers = Record<string, { reply: unknown; shape: unknown }>;

/** Every command that asks, with its arguments. */
const INSPECTED: [command: string, args: string][] = [
  ["ping", ""],
  ["clock", ""],
  ["report", ""],
  ["active", ""],
  ["active", "safe=True"],
  ["dump_active", ""],
  ["reserved", ""],
  ["scheduled", ""],
  ["revoked", ""],
  ["registered", ""],
  ["registered", "taskinfoitems=['max_retries', 'acks_late']"],
  ["active_queues", ""],
  ["hello", "from_node='somebody@here', revoked=['elsewhere']"],
  ["query_task", ""],
  ["no_such_command", ""],
];

/** Every command that does something. What it is told and not what it does is compared here. */
const CONTROLLED: [command: string, args: string][] = [
  ["revoke", "task_id='unknown'"],
  ["revoke", "task_id=['unknown'], terminate=True, signal='SIGTERM'"],
  ["revoke", "task_id=['unknown'], terminate=1, signal='SIGTERM'"],
  ["terminate", "task_id='unknown', signal='KILL'"],
  ["revoke_by_stamped_headers", "headers={'customer': ['a']}"],
  ["revoke_by_stamped_headers", "headers={'customer': ['a']}, terminate=True"],
  ["rate_limit", "task_name='tasks.fail', rate_limit='100/m'"],
  ["rate_limit", "task_name='tasks.fail', rate_limit=0"],
  ["rate_limit", "task_name='tasks.fail', rate_limit='x/m'"],
  ["rate_limit", "task_name='tasks.unknown', rate_limit='1/m'"],
  ["rate_limit", "task_name='tasks.fail'"],
  ["time_limit", "task_name='tasks.fail', soft=30, hard=60"],
  ["time_limit", "task_name='tasks.unknown', soft=30, hard=60"],
  ["add_consumer", "queue=queue + '-more'"],
  ["cancel_consumer", "queue=queue + '-more'"],
  ["enable_events", ""],
  ["disable_events", ""],
  ["disable_events", ""],
  ["heartbeat", ""],
  ["pool_grow", "n=1"],
  ["pool_restart", ""],
  ["autoscale", "max=3, min=1"],
];

describe.skipIf(!python)("remote control, as Python drives it (needs Python 3)", () => {
  const [redis, ...others] = transports().filter(({ name }) => !name.includes("results in Redis"));
  describe.each([redis as Transport, ...others])("over $name", controlled);
});

function controlled(transport: Transport): void {
  // Over a folder Python's worker stands still, and answers nothing, while a task waits for one of its processes.
  const folder = transport.broker.startsWith("filesystem");
  const reserved = folder ? 0 : 4;
  // It also looks into its mailbox once a second only.
  const some = <T>(all: T[]): T[] => (folder ? all.filter((_, position) => position % 4 === 0) : all);
  let project: Project;
  let sides: Sides;
  let client: PythonClient;
  let theirs: PythonWorker;
  let ours: RunningCommand;

  beforeAll(async () => {
    project = new Project();
    sides = sidesOf(transport, python);
    client = new PythonClient(sides.python);
    const own = { ...sides.python, queue: sides.queues.typescript };
    [theirs, ours] = await Promise.all([
      PythonWorker.start(sides.python, ["-c", "2", "-n", THEIRS]),
      startCeleriac(project, own, ["-c", "2", "-n", OURS]),
      client.run(SHAPES),
    ]);
    await client.run(`
queue = "control"
ids = []
for to in ${JSON.stringify(Object.values(sides.queues))}:
    for n in range(${2 + reserved}):
        ids.append(app.send_task("tasks.sleep", (100,), queue=to).id)
    ids.append(app.send_task("tasks.add", (1, 2), countdown=600, queue=to).id)`);
    await eventually(async () => {
      const active = await client.run<Answers>("inspect('active')");
      return [OURS, THEIRS].every((node) => (active[node]?.reply as unknown[] | undefined)?.length === 2);
    }, 30_000);
  });

  afterAll(async () => {
    await client.run("app.control.revoke(ids, terminate=True, signal='KILL')").catch(() => undefined);
    await Promise.all([client?.[Symbol.asyncDispose](), theirs?.kill(), project?.[Symbol.asyncDispose]()]);
  });

  it.each(some(INSPECTED))("%s(%s) is answered in Python's shape", async (command, args) => {
    const answers = await client.run<Answers>(`inspect('${command}', ${args})`);
    expect(Object.keys(answers).sort()).toEqual([THEIRS, OURS]);
    expect(answers[OURS]?.shape).toEqual(answers[THEIRS]?.shape);
  });

  it("query_task tells the state of each task", async () => {
    const answers = await client.run<Answers>("inspect('query_task', ids=ids)");
    const kinds = (node: string): unknown[] => [...new Set(Object.values(answers[node]?.shape as Shape).map(kindOf))];
    expect(kinds(OURS).sort()).toEqual(kinds(THEIRS).sort());
    const states = (node: string): string[] =>
      Object.values(answers[node]?.reply as Record<string, [string, unknown]>)
        .map(([state]) => state)
        .sort();
    expect(states(OURS)).toEqual([...Array(2).fill("active"), ...Array(reserved).fill("reserved"), "scheduled"]);
    expect(new Set(states(OURS))).toEqual(new Set(states(THEIRS)));
  });

  it("stats has every key of Python's, with the same types", async () => {
    const answers = await client.run<Record<string, { shape: Record<string, unknown> }>>("inspect('stats')");
    const [mine, python] = [answers[OURS]?.shape, answers[THEIRS]?.shape] as [Shape, Shape];
    // Their names are those of the tasks.
    delete mine.total;
    delete python.total;
    expect(known(mine, python)).toEqual(known(python, mine));
    expect(Object.keys(mine).sort()).toEqual(Object.keys(python).sort());
    for (const part of ["pool", "rusage", "broker"]) {
      expect(Object.keys(mine[part] as Shape).sort()).toEqual(Object.keys(python[part] as Shape).sort());
    }
  });

  it("conf has Celery's names, every setting when asked, and no password", async () => {
    const given = await client.run<Answers>("inspect('conf')");
    expect(given[OURS]?.reply).toMatchObject({ task_default_queue: sides.queues.typescript });
    const all = await client.run<Answers>("inspect('conf', with_defaults=True)");
    const [mine, python] = [all[OURS]?.reply, all[THEIRS]?.reply] as [Shape, Shape];
    expect(python).toMatchObject({ worker_pool: "prefork" });
    const own = ["compatibility", "django_database_url", "inflated_size_limit", "override_backends"];
    own.push("task_publish_timeout_ms", "task_redelivery_limit");
    // Celery reads these as well, and shows them nowhere unless they are given.
    own.push("redis_backend_health_check_interval", "redis_client_name");
    expect(Object.keys(mine).filter((name) => !(name in python) && !own.includes(name))).toEqual([]);
    expect(JSON.stringify(all[OURS])).not.toContain("guest:guest");
  });

  it("memsample, memdump and objgraph are answered", async () => {
    const sample = await client.run<Answers>("inspect('memsample')");
    expect(sample[OURS]?.reply).toMatch(/^\d+\.\d\dMB$/);
    const dump = await client.run<Answers>("inspect('memdump')");
    expect(dump[OURS]?.reply).toContain(`- ${sample[OURS]?.reply}\n`);
    expect(dump[OURS]?.shape).toBe(dump[THEIRS]?.shape);
  });

  it.each(some(CONTROLLED))("%s(%s) is answered in Python's words", async (command, args) => {
    const answers = await client.run<Answers>(`control('${command}', ${args})`);
    expect(Object.keys(answers).sort()).toEqual([THEIRS, OURS]);
    expect(answers[OURS]?.reply).toEqual(answers[THEIRS]?.reply);
  });

  it("pool_shrink takes a slot away, and no more than there are", async () => {
    const shrunk = await client.run<Answers>(`control('pool_shrink', destination=["${OURS}"], limit=1)`);
    expect(shrunk[OURS]?.reply).toEqual({ ok: "pool will shrink" });
    const refused = await client.run<Answers>(`control('pool_shrink', n=2, destination=["${OURS}"], limit=1)`);
    expect(refused[OURS]?.reply).toEqual({ error: 'ValueError("Can\'t shrink pool. All processes busy!")' });
  });

  it("destination, pattern and limit choose who answers", async () => {
    const nodes = (options: string): Promise<string[]> =>
      client.run<string[]>(`sorted((app.control.inspect(${options}).ping() or {}).keys())`);
    expect(await nodes(`destination=["${OURS}"], timeout=5`)).toEqual([OURS]);
    expect(await nodes('pattern="typescript*", matcher="glob", timeout=5, limit=1')).toEqual([OURS]);
    expect(await nodes('pattern="type[a-z]+@", matcher="pcre", timeout=5, limit=1')).toEqual([OURS]);
    expect(await nodes('pattern="nobody*", matcher="glob", timeout=0.5')).toEqual([]);
  });

  it("celery inspect, control and status show both workers", async () => {
    const celery = (...args: string[]): Promise<Ended> => runCelery(sides.python, ["--no-color", ...args]);
    // Over a folder Celery's own processes get into each other's way when they work at once.
    const commands = [
      ["inspect", "registered", "-t", "3"],
      ["control", "-t", "3", "rate_limit", "tasks.fail", "5/m"],
      ["status", "-t", "3"],
    ];
    const ended: Ended[] = [];
    if (folder) for (const command of commands) ended.push(await celery(...command));
    else ended.push(...(await Promise.all(commands.map((command) => celery(...command)))));
    const [inspected, controlled, status] = ended as [Ended, Ended, Ended];
    expect(inspected.output).toMatch(new RegExp(`${OURS}: OK\\s+\\* tasks\\.acks_late_sleep`));
    expect(controlled.output).toMatch(new RegExp(`${OURS}: OK\\s+new rate limit set successfully`));
    expect(status.output).toContain("2 nodes online.");
    expect(
      ended.map(({ code }) => code),
      ended.map(({ output }) => output).join("\n"),
    ).toEqual([0, 0, 0]);
  });

  it("a revoked task is reported, and a terminated one is gone", async () => {
    await client.run(`control('revoke', task_id=ids[len(ids) // 2:], terminate=True)`);
    const revoked = await client.run<Answers>("inspect('revoked')");
    expect(revoked[OURS]?.reply).toEqual(expect.arrayContaining(await client.run<string[]>("ids[len(ids) // 2:]")));
    await eventually(async () => {
      const active = await client.run<Answers>("inspect('active')");
      return (active[OURS]?.reply as unknown[] | undefined)?.length === 0;
    });
  });

  it("shutdown ends the worker with 0, as it does Python's", async () => {
    await client.run(`app.control.shutdown(destination=["${OURS}"])`);
    expect(await ours.ended()).toBe(0);
  });
}

type Shape = Record<string, unknown>;

/** How a command of Celery's ended. */
type Ended = { code: number | null; output: string };

/** Without what differs from broker to broker: a null in one is no type. */
function known(shape: Shape, other: Shape): Shape {
  return Object.fromEntries(
    Object.entries(shape).flatMap(([key, inner]) => {
      const twin = other[key];
      if (inner === "NoneType" || twin === "NoneType") return [];
      if (isShape(inner) && isShape(twin)) return [[key, known(inner, twin)]];
      return [[key, inner]];
    }),
  );
}

/** Of one task in the reply of query_task. */
function kindOf(shape: unknown): string {
  return JSON.stringify(shape);
}

function isShape(value: unknown): value is Shape {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
