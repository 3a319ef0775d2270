import { setTimeout as sleep } from "node:timers/promises";
import type { Self } from "celeriac";
import { app, bound, task } from "./app.ts";

// Celery's testing worker has it besides its own tasks.
app.task("celery.ping", () => "pong");

const triple = (self: Self, i: unknown): unknown[] => [self.request.rootId, self.request.parentId, i];
bound("ids", (self, i: unknown) => triple(self, i));
bound("collect_ids", (self, res: unknown, i: unknown) => [res, triple(self, i)]);

bound("return_priority", (self) => `Priority: ${self.request.deliveryInfo.priority ?? "None"}`, {
  parameters: ["*_args"],
});
bound("return_request_eta", (self) => self.request.eta);
bound("return_properties", (self) => self.request.properties);

const limits = ({ request }: Self): object => ({
  time_limit: request.timelimit[0],
  soft_time_limit: request.timelimit[1],
});
bound("return_request_time_limits", limits);
bound("task_with_declared_time_limits", limits, { timeLimit: 60, softTimeLimit: 45 });
// Its limits contradict each other: whoever sends it is told so.
task("soft_time_limit_must_exceed_time_limit", () => null);

task(
  "sleeping",
  async (i: number) => {
    await sleep(i * 1000);
  },
  { parameters: ["i", "**_"] },
);

task("print_unicode", (log_message = "håå®ƒ valmuefrø", print_message = "hiöäüß") => {
  process.stderr.write(`${log_message}\n${print_message}\n`);
});
