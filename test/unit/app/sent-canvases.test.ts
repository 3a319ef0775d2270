import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Celery, chain, chord, group, type Signature, type Task } from "../../../src/index.ts";
import { vectors } from "../../support/vectors.ts";

/** A canvas as `interop/vectors/sent_canvases.py` has it. */
interface Shape {
  task?: unknown[];
  chain?: Shape[];
  group?: Shape[];
  pipe?: Shape[];
  chord?: Shape[] | Shape;
  body?: Shape;
  map?: unknown[];
  starmap?: unknown[][];
  chunks?: unknown[][];
  n?: number;
  kwargs?: Record<string, unknown>;
  immutable?: boolean;
  set?: Record<string, unknown>;
  link?: Shape;
  on_error?: Shape;
  stamp?: Record<string, unknown>;
  clone?: boolean;
  apply?: unknown[];
  options?: Record<string, unknown>;
}

const app = new Celery("vectors", { broker: "memory://", backend: "cache+memory://" });
const step: Task = app.task({ name: "tasks.step", parameters: ["*args", "**kwargs"] }, () => null);
const sent: unknown[] = [];

beforeAll(async () => {
  const broker = await app.broker();
  const publish = broker.publish.bind(broker);
  broker.publish = (message, route, timeoutMs) => {
    const { origin: _, ...headers } = message.headers;
    const { priority, correlation_id, reply_to } = message.properties;
    const body = JSON.parse(Buffer.from(message.body).toString());
    sent.push({
      body,
      headers,
      routingKey: route.routingKey,
      priority: priority ?? 0,
      correlationId: correlation_id,
      replyTo: reply_to,
    });
    return publish(message, route, timeoutMs);
  };
});

afterAll(() => app.close());

describe("a canvas is sent as Python sends it", () => {
  it.each(vectors<{ name: string; shape: Shape; sent: unknown[] }>("sent-canvases"))("$name", async (vector) => {
    sent.length = 0;
    const { apply = [], options = {} } = vector.shape;
    const applying = composed(vector.shape).applyAsync(apply, options);
    // Nothing to send is an error here, as nobody would know whose application it is.
    if (vector.sent.length === 0) return await expect(applying).rejects.toThrow("there is nothing to send");
    await applying;
    expect(told(sent)).toEqual(vector.sent);
  });
});

it.each(["map", "starmap", "chunks"] as const)("%s goes where the task that it calls would", async (kind) => {
  sent.length = 0;
  const there = app.remote("tasks.there", { queue: "there" }) as Task;
  await (kind === "chunks" ? there.chunks([[1], [2]], 1) : there[kind]([[1], [2]])).applyAsync();
  expect(sent.map((message) => (message as { routingKey: string }).routingKey)).toEqual(
    kind === "chunks" ? ["there", "there"] : ["there"],
  );
});

function composed(shape: Shape): Signature {
  let sig = plain(shape);
  if (shape.set) sig = sig.set(camelCased(shape.set));
  if (shape.link) sig = sig.link(composed(shape.link));
  if (shape.on_error) sig = sig.onError(composed(shape.on_error));
  if (shape.stamp) sig = sig.stamp(shape.stamp);
  return shape.clone ? sig.clone() : sig;
}

function plain(shape: Shape): Signature {
  if (shape.chain) return chain(...shape.chain.map(composed));
  if (shape.group) return group(...shape.group.map(composed));
  if (shape.pipe) return shape.pipe.map(composed).reduce((before, next) => before.pipe(next));
  if (shape.chord) {
    const header = Array.isArray(shape.chord) ? shape.chord.map(composed) : composed(shape.chord);
    return chord(header, composed(shape.body as Shape));
  }
  if (shape.map) return step.map(shape.map);
  if (shape.starmap) return step.starmap(shape.starmap);
  if (shape.chunks) return step.chunks(shape.chunks, shape.n ?? 1);
  const sig = app.signature("tasks.step", shape.task, { ...(shape.kwargs && { kwargs: shape.kwargs }) });
  return shape.immutable ? sig.set({ immutable: true }) : sig;
}

function camelCased(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [name.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()), value]),
  );
}

/** Messages with ids by number and times left out, whatever the order of keys: as `told` in Python. */
function told(messages: unknown[]): unknown {
  const ids = new Map<string, string>();
  const text = JSON.stringify(messages, (_, value) =>
    value && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
      : value,
  );
  const numbered = text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, (id) => {
    if (!ids.has(id)) ids.set(id, `id-${ids.size + 1}`);
    return ids.get(id) as string;
  });
  return JSON.parse(numbered.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?/g, "TIME"));
}
