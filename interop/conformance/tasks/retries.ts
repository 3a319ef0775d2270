import type { Self } from "celeriac";
import { app, bound } from "./app.ts";

const once = { maxRetries: 1 };

bound(
  "retry_with_args_after_kwargs",
  (self, foo: number, bar: number, label: unknown = null) => {
    const { retries, isEager: is_eager } = self.request;
    if (!retries) throw self.retry({ args: [foo + 1, bar + 1], countdown: 0 });
    return { foo, bar, label, retries, is_eager };
  },
  once,
);

bound(
  "retry_with_kwargs_after_args",
  (self, foo: number, bar: number) => {
    const { retries, isEager: is_eager } = self.request;
    if (!retries) throw self.retry({ kwargs: { foo: foo + 1 }, countdown: 0 });
    return { foo, bar, retries, is_eager };
  },
  once,
);

bound(
  "retry_once",
  (self, _: unknown[], expires: number | null = null, max_retries = 1, countdown = 0.1) => {
    if (self.request.retries) return self.request.retries;
    throw self.retry({ countdown, maxRetries: max_retries, ...(expires !== null && { expires }) });
  },
  { ...once, expires: 120, parameters: ["*args", "expires", "max_retries", "countdown"] },
);

const retryAtOnce = (self: Self): number => {
  if (self.request.retries) return self.request.retries;
  throw self.retry({ countdown: 0 });
};
bound("retry_once_ignore_result", retryAtOnce, { ignoreResult: true });
bound("retry_once_with_result", retryAtOnce, { ignoreResult: false });

bound(
  "retry_once_priority",
  (self, _: unknown[], _expires = 60, max_retries = 1, countdown = 0.1) => {
    if (self.request.retries) return self.request.deliveryInfo.priority;
    throw self.retry({ countdown, maxRetries: max_retries });
  },
  { ...once, parameters: ["*args", "expires", "max_retries", "countdown"] },
);

bound(
  "retry_once_headers",
  (self, _: unknown[], max_retries = 1, countdown = 0.1) => {
    if (self.request.retries) return self.request.headers;
    throw self.retry({ countdown, maxRetries: max_retries });
  },
  { ...once, parameters: ["*args", "max_retries", "countdown"] },
);

app.task(
  {
    name: "auto_retry_class_task",
    bind: true,
    autoretryFor: [RangeError],
    retryKwargs: { maxRetries: 1 },
    retryBackoff: true,
  },
  (self) => {
    if (self.request.retries) return self.request.retries;
    throw Object.assign(new RangeError(), { args: [] });
  },
);
