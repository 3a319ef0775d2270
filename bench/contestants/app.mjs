import { Celery } from "celeriac";

export const app = new Celery("bench", { taskDefaultQueue: process.env.CELERIAC_TASK_QUEUE ?? "celery" });
app.task("bench.add", (x, y) => x + y);
