import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { answerLines, oneByOne } from "../contestant.ts";
import { envelope, envelopeSize, RESULT } from "./bytes.ts";

/**
 * ioredis at its best, on kombu's own keys and with the bytes of a task: publishing is pipelined a hundred at a time
 * (`publish` sends one message again and again, `publishMade` makes each one, as whoever has something to say must),
 * taking is a script that pops and puts into `unacked` 32 at a time, results and acknowledgements go in one pipeline.
 */
const queue = process.env.CELERIAC_TASK_QUEUE ?? "celery";
const broker = new Redis(process.env.CELERY_BROKER_URL ?? "");
const backend = new Redis(process.env.CELERY_RESULT_BACKEND ?? "");

const TAKE = `
local taken = {}
for n = 1, tonumber(ARGV[1]) do
  local message = redis.call("RPOP", KEYS[1])
  if not message then break end
  local tag = ARGV[2] .. n
  redis.call("HSET", KEYS[2], tag, message)
  redis.call("ZADD", KEYS[3], ARGV[3], tag)
  taken[#taken + 1] = message
end
return taken`;
const UNACKED = ["unacked", "unacked_index"] as const;

async function work(): Promise<never> {
  const waiting = broker.duplicate();
  for (let turn = 0; ; turn++) {
    const prefix = `${turn}:`;
    const taken = (await broker.eval(TAKE, 3, queue, ...UNACKED, 32, prefix, Date.now() / 1000)) as string[];
    if (taken.length === 0) {
      const message = await waiting.brpop(queue, 1);
      if (message) await handle([message[1]], []);
      continue;
    }
    const tags = taken.map((_, n) => `${prefix}${n + 1}`);
    await handle(taken, tags);
  }
}

async function handle(taken: string[], tags: string[]): Promise<void> {
  const results = backend.pipeline();
  for (const text of taken) {
    const { headers, body } = JSON.parse(text);
    const [[x, y]] = JSON.parse(Buffer.from(body, "base64").toString());
    const key = `celery-task-meta-${headers.id}`;
    const meta = RESULT.replace('"result": 0', `"result": ${x + y}`);
    results.call("MULTI").setex(key, 86400, meta).publish(key, meta).call("EXEC");
  }
  await results.exec();
  if (tags.length > 0)
    await broker
      .pipeline()
      .hdel(UNACKED[0], ...tags)
      .zrem(UNACKED[1], ...tags)
      .exec();
}

async function publish(count: number, message: () => string): Promise<object> {
  const start = performance.now();
  for (let sent = 0; sent < count; sent += 100) {
    const pipeline = broker.pipeline();
    for (let n = 0; n < 100; n++) pipeline.lpush(queue, message());
    await pipeline.exec();
  }
  return { seconds: (performance.now() - start) / 1000, bytes: envelopeSize() };
}

answerLines({
  publish(count) {
    const bytes = envelope(randomUUID());
    return publish(Number(count), () => bytes);
  },
  publishMade: (count) => publish(Number(count), () => envelope(randomUUID())),
  async fill(count) {
    for (let sent = 0; sent < Number(count); sent += 1000) {
      await broker.lpush(queue, ...Array.from({ length: 1000 }, () => envelope(randomUUID())));
    }
    return {};
  },
  async work() {
    void work();
    return {};
  },
  async roundTrip(count) {
    const subscriber = backend.duplicate();
    let arrived: (() => void) | undefined;
    subscriber.on("pmessage", () => arrived?.());
    await subscriber.psubscribe("celery-task-meta-*");
    const milliseconds = await oneByOne(Number(count), async () => {
      const result = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      await broker.lpush(queue, envelope(randomUUID()));
      await result;
    });
    subscriber.disconnect();
    return { milliseconds };
  },
});
process.once("SIGTERM", () => process.exit());
