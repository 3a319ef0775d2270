import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { startRedis } from "../../test/servers/redis.ts";
import { Project } from "../../test/support/project.ts";
import { ROOT } from "../../test/support/tree.ts";
import { celerySuite, runSuite, type TestOutcome } from "./suite.ts";
import { table } from "./table.ts";

const suite = await celerySuite();
const asked = process.env.CELERIAC_CONFORMANCE_TESTS?.split(",") ?? [];
const amqp = inject("amqpUrl");
const pairs = [
  { name: "Redis, results in Redis", broker: undefined },
  ...(amqp ? [{ name: "RabbitMQ, results in Redis", broker: amqp }] : []),
];

describe.skipIf(!suite)("all of Celery's own integration tests", () => {
  it.each(pairs)("on $name", { timeout: 5_400_000 }, async ({ name, broker }) => {
    await using project = new Project();
    const redis = await startRedis();
    const { url } = redis;
    const meeting = { broker: broker ?? url, backend: url, redis: url };
    const { outcomes, output } = await runSuite(project, suite as string, meeting, asked, 80);
    await redis.stop();
    keep(name, outcomes, output);
    console.log(table(name, outcomes));
    if (outcomes.length === 0) throw new Error(`no test ran:\n${output}`);
    expect(outcomes.filter(({ outcome }) => outcome === "failed")).toEqual([]);
  });
});

/** What there is to look at afterwards. */
function keep(name: string, outcomes: readonly TestOutcome[], output: string): void {
  const folder = join(process.env.CELERIAC_CACHE ?? join(ROOT, ".cache"), "conformance/reports");
  mkdirSync(folder, { recursive: true });
  // A few tests must not pass for all.
  const part = asked.length > 0 ? "-part" : "";
  const file = join(folder, name.toLowerCase().replaceAll(/\W+/g, "-") + part);
  writeFileSync(`${file}.json`, JSON.stringify(outcomes, null, 1));
  writeFileSync(`${file}.log`, output);
}
