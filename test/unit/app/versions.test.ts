import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { Compatibility } from "../../../protocol/compatibility.ts";
import type { Message } from "../../../protocol/message/message.ts";
import { Celery, chord, group, Reject, type Worker } from "../../../src/index.ts";
import { eventually } from "../../support/eventually.ts";
import { versionVectors } from "../../support/versions.ts";

const within = { timeout: 8 };

let app: Celery;

/** An application in this process alone. */
function make(compatibility: Compatibility, more: object = {}): Celery {
  const url = `memory://${randomUUID()}`;
  app = new Celery("shop", { broker: url, backend: url, compatibility, ...more });
  return app;
}

afterEach(() => app?.close());

/** The messages that come of something, as they lie in the queue. */
async function sent(count: number, send: () => Promise<unknown>): Promise<Message[]> {
  await send();
  const messages: Message[] = [];
  const onDelivery = ({ message }: { message: Message }): void => void messages.push(message);
  await (await app.broker()).consume([app.queues.get("celery")], {
    prefetch: 0,
    noAck: true,
    onDelivery,
    onUnreadable: ({ error }) => {
      throw error;
    },
  });
  await eventually(() => messages.length >= count);
  return messages;
}

const body = (message: Message | undefined): string => new TextDecoder().decode(message?.body);

describe.each(versionVectors())("with compatibility $compatibility, as Celery $celery", (vectors) => {
  const { compatibility } = vectors;
  const add = () => app.remote<number[], number>("tasks.add");

  it("the broker is told when a message expires, or is not", async () => {
    make(compatibility);
    const expires = new Date(Date.now() + 3_600_000);
    const [message] = await sent(1, () => add().applyAsync([1], { expires }));
    expect(Object.keys(message?.properties ?? {}).filter((name) => name === "expiration")).toEqual(vectors.expiration);
    expect(message?.headers.expires).not.toBeNull();
  });

  it("the tasks of a group are told their place, or are not", async () => {
    make(compatibility);
    const messages = await sent(2, () => group(add().s(1), add().s(2)).applyAsync());
    expect(messages.map(({ headers }) => headers.group_index)).toEqual(vectors.groupIndex);
  });

  it("the parts of a chord carry a body with the keys and options that it has there", async () => {
    make(compatibility);
    const messages = await sent(2, () => chord([add().s(1), add().s(2)], add().s(3)).applyAsync());
    expect(messages.map(({ headers }) => headers.group_index)).toEqual([0, 1]);
    const [, , embed] = JSON.parse(body(messages[0]));
    // What freezing adds beside them is null.
    const options = Object.entries(embed.chord.options).filter(([, value]) => value !== null);
    expect(options.map(([name]) => name).sort()).toEqual(vectors.chordBodyOptions);
    expect(Object.keys(embed.chord).sort()).toEqual(vectors.chordBodyKeys);
    expect(embed.chord.chord_size ?? null).toBe(vectors.chordSize);
  });

  it("a value that has a type is passed on as it came, whoever reads it", async () => {
    make(compatibility, { taskDefaultQueue: "own" });
    let typed = "";
    app.task("tasks.given", (value: unknown) => {
      typed = (value as object).constructor.name;
    });
    await app.worker({ concurrency: 1, hostname: "versions" }).start();
    const text = '[[{"__type__": "decimal", "__value__": "1.10"}], {}, {}]';
    const message: Message = {
      body: new TextEncoder().encode(text),
      contentType: "application/json",
      contentEncoding: "utf-8",
      headers: { task: "tasks.given", id: randomUUID(), lang: "py" },
      properties: { delivery_mode: 2, correlation_id: "c" },
    };
    await (await app.broker()).publish(message, { exchange: "", routingKey: "own" }, 5000);
    await eventually(() => typed !== "");
    expect(typed).toBe("Decimal");
  });
});

describe("a rejected task", () => {
  const rejected = async (compatibility: Compatibility): Promise<{ worker: Worker; id: string }> => {
    make(compatibility);
    app.task("tasks.reject", () => {
      throw new Reject("no");
    });
    app.task("tasks.after", () => 1);
    const worker = app.worker({ concurrency: 1, hostname: "versions" });
    await worker.start();
    const { id } = await app.sendTask("tasks.reject");
    // One after the other: when this one is over, so is the other.
    await (await app.sendTask("tasks.after")).get(within);
    return { worker, id };
  };

  it.each(["5.0", "5.6"] as const)("has no result with compatibility %s", async (compatibility) => {
    const { id } = await rejected(compatibility);
    expect(await app.asyncResult(id).state()).toBe("PENDING");
  });

  it("has failed with compatibility 5.7", async () => {
    const { id } = await rejected("5.7");
    await expect(app.asyncResult(id).get(within)).rejects.toMatchObject({ type: "Reject" });
  });
});
