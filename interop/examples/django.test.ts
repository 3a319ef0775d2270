import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type RedisServer, startRedis } from "../../test/servers/redis.ts";
import { succeed } from "../../test/support/command.ts";
import { type DatabaseServer, databaseKinds } from "../databases.ts";
import { DJANGO_KINDS, djangoDatabase, djangoSide, migrate } from "../django.ts";
import { environment, PythonClient, type PythonSide, PythonWorker } from "../python.ts";
import { madeVenv } from "../venv.ts";
import { Example } from "./example.ts";

const hasPython = inject("python") !== "";

for (const kind of (await databaseKinds()).filter(({ name }) => DJANGO_KINDS.has(name))) {
  const lacks = hasPython ? kind.lacks : "Python 3";
  const title = `examples/django in a fleet with results in Django's ${kind.name}${lacks ? ` (needs ${lacks})` : ""}`;
  describe.skipIf(lacks)(title, () => {
    let redis: RedisServer;
    let server: DatabaseServer;
    let example: Example;
    let side: PythonSide;
    let client: PythonClient;
    let worker: PythonWorker;

    beforeAll(async () => {
      [redis, server] = await Promise.all([startRedis(), kind.start()]);
      const python = (await madeVenv("5.7.0", "django")) ?? "";
      const database = djangoDatabase(await server.fresh());
      await migrate(python, database);
      side = djangoSide(python, database, { broker: redis.url, queue: "celery" });
      example = new Example("django", "better-sqlite3");
      // In the project, with its environment.
      const env = { ...environment(side), DJANGO_SETTINGS_MODULE: "shop.settings" };
      const exported = await succeed(python, ["export_settings.py"], { cwd: example.folder, env });
      example.write("celery.json", exported);
      const args = ["-A", "./worker.ts", "worker", "--loglevel", "INFO", "--queues", "typescript"];
      const ours = example.start(args, { CELERY_BROKER_URL: "", CELERY_RESULT_BACKEND: "" });
      client = new PythonClient(side);
      await client.run("import django\ndjango.setup()\nresult = None");
      [worker] = await Promise.all([PythonWorker.start(side), ours.said(" ready.")]);
    }, 180_000);

    afterAll(async () => {
      await client?.[Symbol.asyncDispose]();
      await worker?.[Symbol.asyncDispose]();
      await example?.[Symbol.asyncDispose]();
      await server?.stop();
      await redis?.stop();
    });

    it("Python calls its task and finds the result in its own tables", async () => {
      const code = `
sent = app.send_task("shop.slug", ["Ein Tag im März"], queue="typescript", task_id="slug")
value = sent.get(timeout=30)
from django_celery_results.models import TaskResult
row = TaskResult.objects.get(task_id="slug")
result = [value, row.status, row.task_name, row.result, row.worker.split("@")[0]]`;
      // Extended results are a setting of the project's.
      expect(await client.run(code)).toEqual([
        ...["ein-tag-im-marz", "SUCCESS", "shop.slug", '"ein-tag-im-marz"', "celeriac"],
      ]);
    });

    it("a chain goes through both workers", async () => {
      const code = `
steps = chain(signature("shop.add", (1, 2)), signature("shop.add", (3,)), signature("shop.slug", queue="typescript"))
try:
    result = steps.apply_async().get(timeout=30)
except Exception as exc:
    result = f"{type(exc).__name__}: {exc}"`;
      // A number has no method to normalize it: the error crosses the border as well.
      expect(await client.run(code)).toBe("TypeError: title.normalize is not a function");
      const spelt = `chain(signature("shop.slug", ("Nr. 5",), queue="typescript"), signature("shop.add", ("!",))).apply_async().get(timeout=30)`;
      expect(await client.run(spelt)).toBe("nr-5!");
    });
  });
}
