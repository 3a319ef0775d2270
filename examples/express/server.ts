import { Celery, OperationalError, TaskError, TimeoutError } from "celeriac";
import express, { type ErrorRequestHandler } from "express";

/** Seconds that a request waits for its task before it is told where to look. */
const PATIENCE = Number(process.env.PATIENCE ?? 5);

// The environment says where: CELERY_BROKER_URL and CELERY_RESULT_BACKEND.
const app = new Celery("shop", { taskPublishTimeoutMs: 2000 });
const charge = app.remote<[order: string], { order: string; charged: string }>("shop.charge");

const server = express();
server.use(express.json());

server.post("/orders/:order/charge", async ({ params, body }, response) => {
  const sent = await charge.applyAsync([params.order], { kwargs: body, expires: 600 });
  try {
    response.json(await sent.get({ timeout: PATIENCE }));
  } catch (error) {
    if (error instanceof TimeoutError) response.status(202).location(`/tasks/${sent.id}`).json({ task: sent.id });
    else throw error;
  }
});

server.get("/tasks/:id", async ({ params }, response) => {
  const task = app.asyncResult(params.id);
  const [state, info] = await Promise.all([task.state(), task.info()]);
  response.json({ state, ...(info instanceof TaskError ? { error: shown(info) } : { result: info }) });
});

const onError: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) next(error);
  else if (error instanceof TaskError) response.status(422).json({ error: shown(error) });
  else if (error instanceof OperationalError) response.status(503).json({ error: { type: "OperationalError" } });
  else next(error);
};
server.use(onError);

/** What Python raised, without its traceback: that is nobody's but ours. */
function shown({ type, message }: TaskError): { type: string; message: string } {
  return { type, message };
}

const listening = server.listen(Number(process.env.PORT ?? 3000), () => {
  console.error("listening on", listening.address());
});
process.once("SIGTERM", () => listening.close(() => void app.close()));
