import { Celery } from "celeriac";
import Docker from "dockerode";
import { z } from "zod";
import { removeContainers, runContainer } from "./container.ts";
import { Progress } from "./progress.ts";

const LABEL = "celeriac.worker";

/** Names of the images that may be run; all that the engine has unless the environment says. */
const allowed = process.env.IMAGES?.split(",");

// DOCKER_HOST says where the engine is, CELERY_BROKER_URL and CELERY_RESULT_BACKEND where the tasks are.
const docker = new Docker();
export const app = new Celery("containers");

class ContainerFailed extends Error {
  static pythonName = "containers.ContainerFailed";
  readonly args: unknown[];

  constructor(exitCode: number, last: string[], outOfMemory: boolean) {
    super(`the container ended with ${exitCode}${outOfMemory ? ", out of memory" : ""}`);
    this.args = [exitCode, last];
  }
}

const params = z.object({
  image: z.string().refine((image) => !allowed || allowed.includes(image), "is no image that may be run here"),
  command: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  /** MiB. */
  memory: z.number().int().min(6).default(256),
  cpus: z.number().positive().default(1),
  network: z.string().default("none"),
});

export const run = app.task({ name: "containers.run", params, timeLimit: 3600 }, async (given, self) => {
  const progress = new Progress((meta) => self.updateState({ state: "PROGRESS", meta }));
  const labels = { [LABEL]: self.request.hostname, "celeriac.task": self.request.id };
  const onLine = (line: string): void => progress.add(line);
  self.log.info({ image: given.image }, "runs a container");
  try {
    const { exitCode, outOfMemory } = await runContainer(docker, { ...given, labels }, self.signal, onLine);
    if (exitCode !== 0) throw new ContainerFailed(exitCode, progress.last, outOfMemory);
    return { exit_code: exitCode, output: progress.last };
  } finally {
    await progress.end();
  }
});

// A worker that was killed could not clear up.
app.signals.connect("worker_ready", async ({ sender }) => {
  const count = await removeContainers(docker, `${LABEL}=${sender}`);
  if (count > 0) app.log.warn({ count }, "removed containers that a worker of this name left behind");
});
