import { Reject } from "celeriac";
import { bound, named, task } from "./app.ts";

/** The suite's own exceptions. */
class ExpectedException extends Error {
  static readonly pythonName = named("ExpectedException");
  readonly args: unknown[];

  constructor(...args: unknown[]) {
    super(args.join(", "));
    this.args = args;
  }
}

class UnpickleableException extends Error {
  static readonly pythonName = named("UnpickleableException");
  readonly args: unknown[];

  constructor(foo: unknown) {
    super(String(foo));
    this.args = [foo];
  }
}

const rest = { parameters: ["*args"] };

export const fail = task(
  "fail",
  (args: unknown[]) => {
    throw new ExpectedException("Task expected to fail", ...args);
  },
  rest,
);

export const raiseError = task(
  "raise_error",
  () => {
    throw new RangeError("deliberate error");
  },
  rest,
);

task("fail_unpickleable", (foo: unknown, _bar: unknown) => {
  throw new UnpickleableException(foo);
});

task("return_exception", (e: unknown) => [e, true]);

bound(
  "reject_then_succeed",
  (self) => {
    if (!self.request.deliveryInfo.redelivered) throw new Reject(undefined, true);
    return "second-pass";
  },
  { acksLate: true },
);

task("reject_without_requeue", () => {
  throw new Reject("rejected", false);
});

/** How often the task `retry` ran since it last succeeded: of the whole worker, as in Python. */
let attempts = 0;
bound(
  "retry",
  (self, return_value: unknown = null) => {
    if (return_value && attempts >= 3) {
      attempts = 0;
      return return_value;
    }
    if (return_value) attempts += 1;
    throw self.retry({ exc: new ExpectedException(), countdown: 5 });
  },
  { defaultRetryDelay: 1 },
);

bound(
  "retry_unpickleable",
  (self, foo: unknown, _bar: unknown, retry_kwargs: { countdown?: number; max_retries?: number }) => {
    const { max_retries: maxRetries, ...more } = retry_kwargs;
    throw self.retry({
      exc: new UnpickleableException(foo),
      ...more,
      ...(maxRetries !== undefined && { maxRetries }),
    });
  },
  { defaultRetryDelay: 1, parameters: ["foo", "bar", "*", "retry_kwargs"] },
);
