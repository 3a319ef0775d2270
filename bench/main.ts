import { parseArgs } from "node:util";
import { canStartRabbit, startRabbit } from "../test/servers/rabbitmq.ts";
import { startRedis } from "../test/servers/redis.ts";
import { measureCodec } from "./measures/codec.ts";
import { measureConsume } from "./measures/consume.ts";
import type { Arena, Measured } from "./measures/contest.ts";
import { measurePublish } from "./measures/publish.ts";
import { measureRoundTrip } from "./measures/round-trip.ts";
import { measureIdle, measureStart } from "./measures/worker.ts";
import { ratioOf, shownSpread, spreadOf } from "./spread.ts";

const { values } = parseArgs({
  options: {
    broker: { type: "string", multiple: true, default: ["redis", "amqp"] },
    measure: { type: "string", multiple: true, default: ["codec", "publish", "consume", "round-trip", "worker"] },
    rounds: { type: "string", default: "5" },
    quick: { type: "boolean", default: false },
    python: { type: "string", default: "" },
  },
});

if (values.measure.includes("codec")) {
  console.log("\n## Bytes and values, no servers");
  for (const measured of measureCodec(values.quick ? 1 : Number(values.rounds), values.quick ? 0.05 : 1))
    show(measured);
}
const measures = values.measure.filter((measure) => measure !== "codec");

for (const kind of measures.length > 0 ? values.broker : []) {
  if (kind !== "redis" && kind !== "amqp") throw new Error(`--broker is redis or amqp, not ${kind}`);
  if (kind === "amqp" && !canStartRabbit()) {
    console.log("SKIPPED: RabbitMQ is not installed");
    continue;
  }
  const redis = await startRedis(["--appendonly", "no"]);
  const broker = kind === "redis" ? redis : await startRabbit();
  const arena: Arena = {
    kind,
    broker: broker.url,
    backend: redis.url,
    queue: "celery",
    python: values.python,
    rounds: values.quick ? 1 : Number(values.rounds),
    scale: values.quick ? 0.05 : 1,
  };
  console.log(`\n## ${kind === "redis" ? "Redis" : "RabbitMQ"}, ${arena.rounds} interleaved rounds`);
  try {
    for (const measure of measures) for (const measured of await run(measure, arena)) show(measured);
  } finally {
    await Promise.all([redis.stop(), broker.stop()]);
  }
}

async function run(measure: string, arena: Arena): Promise<Measured[]> {
  switch (measure) {
    case "publish":
      return [await measurePublish(arena)];
    case "consume":
      return [await measureConsume(arena)];
    case "round-trip":
      return [await measureRoundTrip(arena)];
    case "worker":
      return [await measureStart(arena), ...(await measureIdle(arena, values.quick ? 1 : 20))];
    default:
      throw new Error(`--measure is codec, publish, consume, round-trip or worker, not ${measure}`);
  }
}

/** One table: what each did, and what celeriac is in proportion, round by round. */
function show({ title, unit, figures }: Measured): void {
  const [ours] = figures.values();
  console.log(`\n| ${title} | ${unit}: median (min–max) | celeriac is times this |\n|---|---|---|`);
  for (const [name, rates] of figures) {
    const ratio = rates === ours || !ours ? "" : shownSpread(ratioOf(ours, rates));
    console.log(`| ${name} | ${shownSpread(spreadOf(rates))} | ${ratio} |`);
  }
}
