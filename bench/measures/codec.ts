import { readBody } from "../../protocol/message/embed.ts";
import { readHeaders } from "../../protocol/message/headers.ts";
import type { Message } from "../../protocol/message/message.ts";
import { asTaskV2, type TaskMessageV2 } from "../../protocol/message/v2.ts";
import { readMeta, taskMeta } from "../../protocol/result/meta.ts";
import { SerializerRegistry } from "../../protocol/serialization/registry.ts";
import { readEnvelope } from "../../protocol/transport/virtual.ts";
import { resultCodec } from "../../src/app/result-codec.ts";
import type { Settings } from "../../src/app/settings.ts";
import { envelopeText, VirtualDelivery } from "../../src/brokers/virtual.ts";
import { add, type Figures, type Measured } from "./contest.ts";

/** Operations of each side that are timed together. */
const SLICE = 2_000;
/** Slices of each side in a round, in turns; the fastest counts, as nothing but others' work makes one slower. */
const SLICES = 20;

const ID = "d0f4a1b2-0000-4000-8000-000000000000";
const ROUTE = { exchange: "", routingKey: "celery" };

const serializers = new SerializerRegistry();
const accept = serializers.accept(["json"]);
const codec = resultCodec(serializers, {
  resultSerializer: "json",
  resultAcceptContent: null,
  acceptContent: ["json"],
  resultCompression: null,
  inflatedSizeLimit: null,
} as unknown as Settings);

const make = (): TaskMessageV2 =>
  asTaskV2(
    "tasks.add",
    { taskId: ID, args: [2, 3], kwargs: { note: "small" }, now: new Date(0) },
    { origin: "gen1@host" },
  );
const task = make();
const properties = { ...task.properties, delivery_mode: 2, priority: 0 };

function written({ headers, body: value }: TaskMessageV2): Message {
  const { contentType, contentEncoding, body } = serializers.encode(value, "json");
  return { headers, properties, contentType, contentEncoding, body };
}

const message = written(task);
const envelope = envelopeText(message, ROUTE, ID);
const bareEnvelope = JSON.parse(envelope) as Record<string, unknown> & { body: string };
const metaInput = { taskId: ID, state: "SUCCESS", result: 5, now: "2031-05-06T07:08:09.123456+00:00" };
const bareMeta = taskMeta(metaInput);
const stored = Buffer.from(codec.encode(bareMeta));
const body = Buffer.from(message.body);

function read({ headers, ...content }: Message): unknown {
  return [readHeaders(headers), readBody(serializers.decode(content as Message, accept))];
}

function bareEncoded(): string {
  bareEnvelope.body = Buffer.from(JSON.stringify(task.body)).toString("base64");
  return JSON.stringify(bareEnvelope);
}

/** The same bytes, from and to objects, by us and by JSON alone. */
const CONTESTS: readonly { title: string; ours: () => unknown; bare: () => unknown }[] = [
  {
    title: "decode a v2 message, envelope and body",
    ours: () => read(new VirtualDelivery(readEnvelope(envelope), "celery", ID, null).message),
    bare: () => {
      const outer = JSON.parse(envelope) as { body: string };
      return [outer, JSON.parse(Buffer.from(outer.body, "base64").toString())];
    },
  },
  {
    title: "encode a v2 message, body and envelope",
    ours: () => envelopeText(written(task), ROUTE, ID),
    bare: bareEncoded,
  },
  {
    title: "the same, headers and reprs made as well",
    ours: () => envelopeText(written(make()), ROUTE, ID),
    bare: bareEncoded,
  },
  {
    title: "decode a v2 message's body, the rest in AMQP's properties",
    ours: () => read({ ...message, body }),
    bare: () => JSON.parse(body.toString()),
  },
  {
    title: "encode a v2 message's body, the rest in AMQP's properties",
    ours: () => serializers.encode(task.body, "json").body,
    bare: () => Buffer.from(JSON.stringify(task.body)),
  },
  {
    title: "decode a result",
    ours: () => readMeta(codec.decode(stored), ID),
    bare: () => JSON.parse(stored.toString()),
  },
  {
    title: "encode a result",
    ours: () => codec.encode(taskMeta(metaInput)),
    bare: () => Buffer.from(JSON.stringify(bareMeta)),
  },
];

/** What reading and writing costs in proportion to `JSON.parse` and `JSON.stringify` of the same bytes. */
export function measureCodec(rounds: number, scale: number): Measured[] {
  const count = Math.round(SLICE * scale);
  return CONTESTS.map(({ title, ours, bare }) => {
    const figures: Figures = new Map();
    // The first round warms up the compilers.
    for (let round = -1; round < rounds; round++) {
      let [fastest, bareFastest] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let slice = 0; slice < SLICES; slice++) {
        fastest = Math.min(fastest, nanoseconds(ours, count));
        bareFastest = Math.min(bareFastest, nanoseconds(bare, count));
      }
      if (round < 0) continue;
      add(figures, "celeriac", fastest);
      add(figures, "JSON alone", bareFastest);
    }
    return { title, unit: "ns", moreIsBetter: false, figures };
  });
}

function nanoseconds(operation: () => unknown, count: number): number {
  const started = performance.now();
  for (let n = 0; n < count; n++) kept = operation();
  return ((performance.now() - started) / count) * 1e6;
}

/** Where results go, so that no compiler leaves the work out. */
export let kept: unknown;
