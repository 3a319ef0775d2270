import { describe, expect, it } from "vitest";
import { startRedis } from "../test/servers/redis.ts";
import { Project } from "../test/support/project.ts";
import { celerySuite, fastTests, runSuite } from "./conformance/suite.ts";

const suite = await celerySuite();
const lacks = suite ? "" : " (needs Python 3)";

describe.skipIf(!suite)(`Celery's own integration tests${lacks}`, () => {
  it("pass on a celeriac worker, as far as they take no time", { timeout: 240_000 }, async () => {
    await using project = new Project();
    const redis = await startRedis();
    const { url } = redis;
    const meeting = { broker: url, backend: url, redis: url };
    const { outcomes, output } = await runSuite(project, suite as string, meeting, fastTests(), 4);
    await redis.stop();
    expect(outcomes.filter(({ outcome }) => outcome === "failed")).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === "passed").length, output).toBeGreaterThan(50);
  });
});
