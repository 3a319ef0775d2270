import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Celery } from "celeriac";

/** What the workers of the chaos tests serve. Told by the environment: settings as JSON, and the ledger's path. */
export const app = new Celery("chaos", JSON.parse(process.env.CELERIAC_SETTINGS ?? "{}"));

const ledger = process.env.CELERIAC_LEDGER ?? "ledger";

/** One line, written in one piece. */
const write = (line: string): void => appendFileSync(ledger, `${line}\n`);

async function work(number: number, ms: number): Promise<number> {
  write(`begin ${number}`);
  await sleep(ms);
  write(`end ${number}`);
  return number;
}

app.task({ name: "chaos.late", acksLate: true }, work);
app.task("chaos.early", work);
app.task({ name: "chaos.retried", acksLate: true, bind: true }, async (self, number: number, ms: number) => {
  if (self.request.retries === 0) throw self.retry({ countdown: 0.05 });
  return work(number, ms);
});
