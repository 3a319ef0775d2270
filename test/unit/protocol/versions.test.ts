import { describe, expect, it } from "vitest";
import { COMPATIBILITIES } from "../../../protocol/compatibility.ts";
import { type MailboxOptions, pidboxQueue, replyQueue } from "../../../protocol/control/pidbox.ts";
import { flaggedAsRevoked, revokedReply } from "../../../protocol/control/replies.ts";
import { utcoffset } from "../../../protocol/event/event.ts";
import { readHeaders } from "../../../protocol/message/headers.ts";
import { asTaskV2 } from "../../../protocol/message/v2.ts";
import { DateTime, PlainDate, PlainTime } from "../../../protocol/python/datetime.ts";
import { Decimal } from "../../../protocol/python/decimal.ts";
import { repr } from "../../../protocol/python/repr.ts";
import { UUID } from "../../../protocol/python/uuid.ts";
import { dateDone } from "../../../protocol/result/date-done.ts";
import { loads } from "../../../protocol/serialization/json-reader.ts";
import { dumps } from "../../../protocol/serialization/json-writer.ts";
import { serializersOf } from "../../../protocol/serialization/registry.ts";
import type { Queue } from "../../../protocol/transport/entities.ts";
import { resolveSettings } from "../../../src/app/settings.ts";
import { mailboxOptions } from "../../../src/control/mailbox-options.ts";
import { type QueueVector, versionVectors } from "../../support/versions.ts";

const ALL = versionVectors();

const ID = "d0f4a1b2-0000-4000-8000-000000000000";

/** The values of the capturing script. */
const TYPED = [
  new DateTime("2031-05-06T07:08:09.123456+00:00"),
  new DateTime("2031-05-06T07:08:09"),
  new DateTime("2031-05-06T07:08:09.000005+05:30"),
  new PlainDate("2031-05-06"),
  new PlainTime("07:08:09.000010"),
  new Decimal("1.10"),
  new UUID("d0f4a1b2-0000-4000-8000-000000000009"),
];

it("has a vector of every Celery that there is a compatibility for", () => {
  expect(ALL.map(({ compatibility }) => compatibility)).toEqual([...COMPATIBILITIES]);
});

describe.each(ALL)("with compatibility $compatibility, as Celery $celery", (vectors) => {
  const { compatibility } = vectors;
  const { settings } = resolveSettings({ compatibility, timezone: "Asia/Kolkata" });

  it("a message has the headers that it has there", () => {
    const call = { taskId: ID, args: [2, 3], now: new Date() };
    const message = asTaskV2("tasks.add", call, { origin: "gen1@host", ignoreResult: false }, compatibility);
    expect(dumps(message.headers)).toBe(vectors.headers);
  });

  it("a message with those headers is read, the others filled in", () => {
    const read = readHeaders(loads(vectors.headers) as Record<string, unknown>);
    expect(read).toMatchObject({ id: ID, replaced_task_nesting: 0, stamped_headers: null, stamps: {} });
  });

  it("headers that it does not write are there as soon as they say something", () => {
    const said = { ignoreResult: true, replacedTaskNesting: 1, stampedHeaders: ["a"], stamps: { a: 1 } };
    const { headers } = asTaskV2("t", { taskId: ID, now: new Date() }, { origin: "o", ...said }, compatibility);
    expect(headers).toMatchObject({ ignore_result: true, replaced_task_nesting: 1, stamped_headers: ["a"] });
  });

  it("JSON carries what has a type as it does there", () => {
    const { body } = serializersOf(compatibility).encode(TYPED, "json");
    expect(new TextDecoder().decode(body)).toBe(`[${vectors.typed.map(({ json }) => json).join(", ")}]`);
    expect(TYPED.map((value) => repr(value))).toEqual(vectors.typed.map((value) => value.repr));
  });

  it("JSON carries bytes, or refuses them, as it does there", () => {
    const written = [[97], [255]].map((bytes) => {
      try {
        const { body } = serializersOf(compatibility).encode(new Uint8Array(bytes), "json");
        return new TextDecoder().decode(body);
      } catch (error) {
        expect(error).toMatchObject({ name: "EncodeError", message: "Object of type bytes is not JSON serializable" });
        return null;
      }
    });
    expect(written).toEqual(vectors.bytes);
  });

  it("a pickle is of the protocol that it is of there, and read whatever that is", () => {
    const serializers = serializersOf(compatibility);
    const { contentType, contentEncoding } = serializers.get("pickle");
    const read = (body: Uint8Array): unknown => serializers.decode({ body, contentType, contentEncoding }, null);
    for (const { repr: shown, bytes } of vectors.pickles) {
      const theirs = Uint8Array.from(Buffer.from(bytes, "base64"));
      const value = read(theirs);
      expect(repr(value)).toBe(shown);
      const ours = serializers.encode(value, "pickle").body;
      expect([...ours.subarray(0, 2)]).toEqual([...theirs.subarray(0, 2)]);
      expect(repr(read(ours))).toBe(shown);
    }
  });

  it("date_done has the offset and the zone that it has there", () => {
    const now = new Date();
    const text = dateDone(now, settings);
    const { shape, minutesAhead } = vectors.dateDone;
    expect(text.slice(0, 26).replace(/\d/g, "0") + text.slice(26)).toBe(shape);
    expect((Date.parse(`${text.slice(0, 23)}Z`) - now.getTime()) / 60_000).toBe(minutesAhead);
  });

  it("an event's utcoffset is of the kind that it is of there", () => {
    const whole = vectors.utcoffset[0] === "0";
    expect([0, -330, 210].map((minutes) => dumps(utcoffset(minutes, whole)))).toEqual(vectors.utcoffset);
  });

  it("revoke and hello answer what they answer there", () => {
    expect(dumps({ ok: flaggedAsRevoked(["r1"], compatibility) })).toBe(vectors.revoke);
    expect(dumps(revokedReply([["r1", 5.5]], compatibility))).toBe(vectors.hello);
  });

  it("mailboxes are declared as they are there", () => {
    const options: MailboxOptions = mailboxOptions(settings);
    expect(shown(pidboxQueue("celery@host", options))).toEqual(flags(vectors.mailbox));
    expect(shown(replyQueue("oid", options))).toEqual(flags(vectors.mailboxReply));
  });
});

function flags({ durable, exclusive, autoDelete, expires, messageTtl }: QueueVector) {
  return { durable, exclusive, autoDelete, expires, messageTtl };
}

function shown({ durable, exclusive, autoDelete, arguments: given }: Queue) {
  const seconds = (name: string): number => Number(given[name]) / 1000;
  return { durable, exclusive, autoDelete, expires: seconds("x-expires"), messageTtl: seconds("x-message-ttl") };
}
