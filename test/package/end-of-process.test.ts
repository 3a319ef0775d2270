import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { canStartRabbit, type RabbitServer, startRabbit } from "../servers/rabbitmq.ts";
import { type RedisServer, startRedis } from "../servers/redis.ts";
import { command } from "../support/command.ts";

const installed = inject("installed");

/** Ends with 7, and says why it still runs, when it has not ended by itself within 5 s of the close. */
const WATCH = `
  await app.close();
  setTimeout(() => {
    console.log("still there:", process.getActiveResourcesInfo());
    process.exit(7);
  }, 5000).unref();`;

const SERVED = `
  const add = app.task("tasks.add", (x, y) => x + y);
  await app.worker({ concurrency: 2 }).start();
  const result = await add.delay(2, 3);
  console.log(await result.get({ timeout: 10 }));
  ${WATCH}`;

const UNSERVED = `
  const result = await app.remote("tasks.nobody").delay();
  await result.get({ timeout: 0.2 }).catch((error) => console.log(error.name));
  result.get().catch((error) => console.log(error.name));
  await new Promise((resolve) => setTimeout(resolve, 100));
  ${WATCH}`;

const UNUSED = `console.log("made");`;

interface Place {
  broker: string;
  backend: string;
  brokerTransportOptions?: Record<string, unknown>;
}

/** Runs a program in the project that has the package installed; what it wrote, if it ended well. */
async function run(program: string, place: Place): Promise<string> {
  const file = join(installed, "program.mjs");
  const given = `const app = new Celery("ends", ${JSON.stringify(place)});`;
  await writeFile(file, `import { Celery } from "celeriac";\n${given}\n${program}`);
  const { code, stdout, output } = await command("node", [file], { cwd: installed, killAfter: 40_000 });
  expect(code, output).toBe(0);
  return stdout.trim();
}

function itEnds(place: () => Place): void {
  it("ends by itself when it has sent, worked, got the result and closed", async () => {
    expect(await run(SERVED, place())).toBe("5");
  });

  it("ends by itself when it closes without an answer, and rejects who still waits for it", async () => {
    expect((await run(UNSERVED, place())).split("\n")).toEqual(["TimeoutError", "OperationalError"]);
  });

  it("ends by itself when the application was neither used nor closed", async () => {
    expect(await run(UNUSED, place())).toBe("made");
  });
}

describe("a process with an application in memory", () => {
  itEnds(() => ({ broker: "memory://", backend: "memory://" }));
});

describe("a process with an application on Redis", () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis?.stop());

  itEnds(() => ({ broker: redis.url, backend: redis.url }));
});

describe("a process with an application on a folder", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "celeriac-end-"));
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  itEnds(() => ({
    broker: "filesystem://",
    backend: `file://${folder}`,
    brokerTransportOptions: {
      data_folder_in: folder,
      data_folder_out: folder,
      control_folder: join(folder, "control"),
    },
  }));
});

describe.skipIf(!canStartRabbit())("a process with an application on RabbitMQ (needs RabbitMQ)", () => {
  let rabbit: RabbitServer;

  beforeAll(async () => {
    rabbit = await startRabbit();
  });

  afterAll(() => rabbit?.stop());

  itEnds(() => ({ broker: rabbit.url, backend: "rpc://" }));
});
