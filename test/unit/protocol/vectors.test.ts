import { describe, expect, it } from "vitest";
import {
  chainOf,
  chordOf,
  clone,
  groupOf,
  readSignature,
  type SignatureData,
  signature,
} from "../../../protocol/canvas/signature.ts";
import { controlRequest, readControlRequest } from "../../../protocol/control/pidbox.ts";
import { type Embed, readBody } from "../../../protocol/message/embed.ts";
import { readHeaders } from "../../../protocol/message/headers.ts";
import { asTaskV1, isHybridBody, isTaskV1, mayBeHybrid, readTaskV1 } from "../../../protocol/message/v1.ts";
import { asTaskV2 } from "../../../protocol/message/v2.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { saferepr } from "../../../protocol/python/saferepr.ts";
import { readMeta, taskMeta } from "../../../protocol/result/meta.ts";
import { asTuple, fromTuple } from "../../../protocol/result/result-tuple.ts";
import { loads, loadsForward } from "../../../protocol/serialization/json-reader.ts";
import { dumps } from "../../../protocol/serialization/json-writer.ts";
import { msgpack } from "../../../protocol/serialization/msgpack.ts";
import { dumpEnvelope, readEnvelope } from "../../../protocol/transport/virtual.ts";
import { named, vectors } from "../../support/vectors.ts";

const NOW = new Date("2031-05-06T07:08:09.123Z");
const ID = (n: number): string => `d0f4a1b2-0000-4000-8000-00000000000${n}`;

type Options = Record<string, never>;

/** Options as Python takes them, in the names of ours. */
function taskOptions(options: Record<string, unknown>) {
  const { args, kwargs, expires, eta, countdown, callbacks, errbacks, chain, chord, ...others } = options;
  const stamped = others.stamped_headers as string[] | undefined;
  return {
    taskId: ID(0),
    origin: "gen1@host",
    now: NOW,
    args: (args ?? []) as unknown[],
    kwargs: (kwargs ?? {}) as Record<string, unknown>,
    expires: (expires === undefined ? null : value(expires)) as number,
    eta: (eta === undefined ? null : value(eta)) as Date | null,
    countdown: countdown === undefined ? null : Number(value(countdown)),
    callbacks: (callbacks ?? null) as unknown[] | null,
    errbacks: (errbacks ?? null) as unknown[] | null,
    chain: (chain ?? null) as unknown[] | null,
    chord: chord ?? null,
    timeLimit: (others.time_limit ?? null) as number | null,
    softTimeLimit: (others.soft_time_limit ?? null) as number | null,
    groupId: (others.group_id ?? null) as string | null,
    groupIndex: (others.group_index ?? null) as number | null,
    retries: (others.retries ?? 0) as number,
    parentId: (others.parent_id ?? null) as string | null,
    rootId: (others.root_id ?? null) as string | null,
    shadow: (others.shadow ?? null) as string | null,
    replyTo: (others.reply_to ?? null) as string | null,
    ignoreResult: others.ignore_result === true,
    stampedHeaders: stamped ?? null,
    stamps: Object.fromEntries((stamped ?? []).map((name) => [name, others[name]])),
  };
}

/** A number that was kept as the text that came. */
function value(forwarded: unknown): unknown {
  return loads(dumps(forwarded));
}

describe("a task message of protocol 2", () => {
  const cases = vectors<{ name: string; options: string; headers: string; properties: string; body: string }>(
    "messages",
  );

  it.each(cases)("is written as Celery writes it: $name", ({ options, headers, properties, body }) => {
    const given = taskOptions(loadsForward(options) as Options);
    const message = asTaskV2("tasks.add", given, given);
    const microseconds = (text: string): string => text.replace(/(\.\d{3})456\+/g, "$1000+");
    // JavaScript's clock counts milliseconds.
    const exact = /countdown|"expires"/.test(options) && !/"eta"/.test(options);
    expect(dumps(message.headers)).toBe(exact ? microseconds(headers) : headers);
    expect(dumps(message.properties)).toBe(properties);
    expect(dumps(message.body)).toBe(body);
  });

  it.each(cases)("is read, and its body written again unchanged: $name", ({ headers, body }) => {
    const read = readHeaders(loads(headers) as Record<string, unknown>);
    expect(read.id).toBe(ID(0));
    expect(dumps(readHeaders(loadsForward(headers) as Record<string, unknown>))).toBe(headers);
    expect(dumps(loadsForward(body))).toBe(body);
    const [, , embed] = readBody(loadsForward(body));
    expect(Object.keys(embed satisfies Embed)).toEqual(["callbacks", "errbacks", "chain", "chord"]);
  });
});

describe("a task message of protocol 1", () => {
  const cases = vectors<{ name: string; options: string; properties: string; body: string }>("messages-v1");

  it.each(cases)("is written as Celery writes it: $name", ({ options, properties, body }) => {
    const given = taskOptions(loadsForward(options) as Options);
    const message = asTaskV1("tasks.add", given, given);
    const countsSeconds = /countdown|"expires": \d/.test(options);
    expect(dumps(message.body)).toBe(countsSeconds ? body.replace(/(\.\d{3})456\+/g, "$1000+") : body);
    expect(dumps(message.properties)).toBe(properties);
    expect(message.headers).toEqual({});
  });

  it.each(cases)("is read: $name", ({ body }) => {
    const sent = loadsForward(body) as Record<string, unknown>;
    expect(isTaskV1(sent)).toBe(true);
    const { headers, body: read, utc } = readTaskV1(sent, {});
    const { task, id, retries, eta, expires, timelimit, group, group_index } = sent;
    expect(headers).toMatchObject({ task, id, retries, eta, expires, timelimit, group, group_index });
    const { args, kwargs, callbacks, errbacks, chord } = sent;
    expect(dumps(read)).toBe(dumps([args, kwargs, { callbacks, errbacks, chain: null, chord }]));
    expect(utc).toBe(true);
  });

  it("has the rest of a chain as a callback, the last task innermost", () => {
    const rest = [signature("tasks.third"), signature("tasks.second", [1])];
    const { body } = asTaskV1("tasks.first", { taskId: ID(0), now: NOW }, { origin: "gen1@host", chain: rest });
    expect(body.callbacks).toMatchObject([
      { task: "tasks.second", args: [1], options: { link: [{ task: "tasks.third" }] } },
    ]);
    expect(rest[1]?.options).toEqual({});
  });
});

describe("a hybrid message", () => {
  const cases = vectors<{ name: string; headers: string; body: string; read: string }>("hybrids");

  it.each(cases)("is read as Celery's worker reads it: $name", ({ headers, body, read }) => {
    const [message, merged, utc] = loads(read) as [unknown, Record<string, unknown>, boolean];
    const own = loads(headers) as Record<string, unknown>;
    const task = readTaskV1(loads(body) as Record<string, unknown>, own);
    const { lang, argsrepr, kwargsrepr, meth, ...shared } = merged;
    expect(task.headers).toMatchObject(shared);
    expect(task.headers.lang).toBe(lang ?? "py");
    expect(task.headers.argsrepr).toBe(argsrepr ?? "(1,)");
    expect([meth, typeof kwargsrepr]).toEqual([null, kwargsrepr === null ? "object" : "string"]);
    expect(task.body).toEqual(message);
    expect(task.utc).toBe(utc);
    expect(isHybridBody(loads(body))).toBe(true);
    expect(mayBeHybrid(own)).toBe(own.lang === undefined);
  });

  it("is told from protocol 2 as every version of Celery writes it", () => {
    for (const { headers } of vectors<{ headers: string }>("messages")) {
      expect(mayBeHybrid(loads(headers) as Record<string, unknown>)).toBe(false);
    }
  });
});

describe("an envelope of the virtual transports", () => {
  it.each(vectors<{ name: string; text: string }>("envelopes"))("is written as kombu writes it: $name", ({ text }) => {
    const read = readEnvelope(text);
    const { delivery_info: info, delivery_tag: deliveryTag, body_encoding: _, ...properties } = read.properties;
    const written = dumpEnvelope(
      { ...read, properties },
      { deliveryTag, exchange: info.exchange, routingKey: info.routing_key, bodyEncoding: "base64" },
    );
    expect(JSON.parse(written)).toEqual(JSON.parse(text));
    expect(written).toBe(text);
  });
});

describe("a stored result", () => {
  const cases = vectors<{ name: string; extended: boolean; state: string; text: string }>("results").filter(
    ({ state }) => state !== "GROUP",
  );

  it.each(cases)("is written as Celery writes it: $name, extended: $extended", ({ extended, text }) => {
    const stored = loadsForward(text) as Record<string, unknown>;
    const { status, result, traceback, children, group_id: group, parent_id: parentId } = stored;
    const meta = taskMeta({
      taskId: ID(0),
      state: status as string,
      result,
      traceback: traceback as string | null,
      extended,
      now: "2031-05-06T07:08:09.123456+00:00",
      request: {
        group: (group ?? null) as string | null,
        parentId: (parentId ?? null) as string | null,
        name: "tasks.add",
        args: [2, 3],
        kwargs: {},
        hostname: "celery@host",
        retries: 0,
        routingKey: "celery",
        children: children as never,
      },
    });
    expect(dumps(meta)).toBe(text);
  });

  it.each(cases)("is read: $name, extended: $extended", ({ state, text }) => {
    expect(readMeta(loads(text), ID(0))).toMatchObject({ status: state, task_id: ID(0) });
  });

  it("of a group is read and written", () => {
    const { text } = named<{ name: string; text: string }>("results", "saved group");
    const { result } = loads(text) as { result: unknown };
    const group = fromTuple(result);
    expect(group).toMatchObject({ id: ID(2), parent: { id: ID(1) }, results: [{ id: ID(3) }, { id: ID(4) }] });
    expect(dumps({ result: group && asTuple(group) })).toBe(text);
  });
});

describe("a signature", () => {
  const add = (...args: unknown[]): SignatureData => signature("tasks.add", args);
  const ours: Record<string, () => SignatureData> = {
    signature: () => add(1),
    immutable: () => signature("tasks.add", [1], { y: 2 }, {}, true),
    chain: () => chainOf([add(1), add(2), add(3)]),
    group: () => groupOf([add(1), add(2)]),
    chord: () => chordOf([add(1), add(2)], add(3)),
  };

  it.each(vectors<{ name: string; text: string }>("canvases"))("is read and written unchanged: $name", ({ text }) => {
    expect(dumps(clone(readSignature(loadsForward(text))))).toBe(text);
  });

  it.each(Object.entries(ours))("is composed as Python composes it: %s", (name, compose) => {
    const { text } = named<{ name: string; text: string }>("canvases", name);
    expect(JSON.parse(dumps(compose()))).toEqual(JSON.parse(text));
  });
});

describe("Python's repr", () => {
  it.each(vectors<{ value: string; repr: string; saferepr: string }>("reprs"))("of $repr", (vector) => {
    const read = loadsForward(vector.value);
    expect(saferepr(read, 1024)).toBe(vector.saferepr);
    if (vector.repr.length < 100) expect(repr(read)).toBe(vector.repr);
  });
});

describe("JSON", () => {
  it.each(vectors<{ text: string; repr: string }>("json-values"))("keeps $repr", ({ text, repr: python }) => {
    expect(dumps(loadsForward(text))).toBe(text);
    // A float that is a whole number is the one thing that JavaScript cannot hold apart.
    const again = dumps(loads(text));
    if (/^-?\d+(\.0|e\+\d+)$/.test(python)) expect(Number(again)).toBe(Number(text));
    else expect(again).toBe(text);
  });
});

describe("msgpack", () => {
  const cases = vectors<{ repr: string; json: string; bytes: string; contentType: string; encoding: string }>(
    "msgpack-values",
  );

  it.each(cases)("is written as Python writes it: $repr", ({ json, bytes, contentType, encoding }) => {
    expect(Buffer.from(msgpack.encode(loads(json))).toString("base64")).toBe(bytes);
    expect([msgpack.contentType, msgpack.contentEncoding]).toEqual([contentType, encoding]);
  });

  it.each(cases)("is read: $repr", ({ json, bytes }) => {
    expect(dumps(msgpack.decode(Buffer.from(bytes, "base64")))).toBe(json);
  });
});

describe("remote control", () => {
  it.each(vectors<{ name: string; text: string }>("pidbox"))("is written as Celery writes it: $name", ({ text }) => {
    const request = readControlRequest(loads(text));
    const written = controlRequest(request.method, request.arguments, request);
    expect(dumps(written)).toBe(text);
  });
});
