import { Celery } from "celeriac";
import { answerLines, hundredInFlight, oneByOne } from "../contestant.ts";

const queue = process.env.CELERIAC_TASK_QUEUE ?? "celery";
const app = new Celery("bench", { taskDefaultQueue: queue });
const add = app.task("bench.add", (x: number, y: number) => x + y);

answerLines({
  publish: async (count) => ({
    seconds: await hundredInFlight(Number(count), (n) => add.delay(n, n)),
  }),
  work: async () => {
    await app.worker({ concurrency: 32 }).start();
    return {};
  },
  roundTrip: async (count) => ({
    milliseconds: await oneByOne(Number(count), async (n) => (await add.delay(n, n)).get({ timeout: 10 })),
  }),
});
process.once("SIGTERM", () => process.exit());
