import type { SignatureData } from "../../protocol/canvas/signature.ts";
import type { StoredException } from "../../protocol/result/exception.ts";
import { Reject, WorkerLostError } from "../app/errors.ts";
import { taskError } from "../app/exception.ts";
import type { RunningTask } from "../app/task-request.ts";
import type { JobChild, JobEnd } from "../pools/pool.ts";
import {
  type ChildEnd,
  type ChildError,
  type ChildResult,
  type ChildTold,
  type ChildVerdict,
  childTask,
  Passage,
  type ToTask,
  type ToWorker,
} from "./child-task.ts";
import type { WorkerContext } from "./context.ts";
import { type Execution, LazyAbort, type Outcome, runningTask, type StoreState } from "./execution.ts";
import type { Request } from "./request.ts";
import { ResultWriter, recordedAs } from "./result-writer.ts";
import { signalName } from "./signal.ts";
import { isEmpty } from "./task-body.ts";
import type { TaskEnd } from "./task-end.ts";
import { limitTimers } from "./time-limits.ts";

/** Milliseconds from asking a process to end to ending it. Mirrors `billiard/pool.py _trywaitkill`. */
const GRACE_MS = 100;

/**
 * Runs a task in a pool's child. Its end is the handler's own, or that of the child: the hard time limit and a
 * termination kill it. Mirrors `celery/worker/request.py` and `celery/concurrency/prefork.py`.
 */
export function executeInChild(
  context: WorkerContext,
  request: Request,
  child: JobChild,
  running: Pick<RunningTask, "request" | "embed">,
  storeState: StoreState,
): Execution {
  const passage = new Passage(context.serializers, context.settings);
  const whole = runningTask(context, request, running, storeState, new LazyAbort());
  let answer: ((verdict: ChildVerdict) => void) | undefined;
  let done: Promise<JobEnd> | undefined;
  const outcome = new Promise<Outcome>((resolve) => {
    const tell = (message: ToTask): void => child.tell(message);
    const cancelLimits = limitTimers(request, context.settings, {
      onSoft: () => {
        context.log.warn(
          { id: request.id, task: request.task },
          `Soft time limit (${request.softTimeLimit ?? context.settings.taskSoftTimeLimit}s) exceeded for ${request.name}[${request.id}]`,
        );
        tell({ abort: "soft", reason: "" });
      },
      onHard: (error) => {
        resolve({ kind: "timeout", error });
        child.kill("SIGTERM");
        setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      },
    });
    request.end = (kind, error) => {
      resolve({ kind, error });
      const signal = kind === "terminated" ? signalName(error.message) : "SIGTERM";
      // What Celery's children take for the soft limit starts a debugger in Node.
      if (signal === "SIGUSR1") tell({ abort: "soft", reason: "" });
      else child.kill(signal);
    };
    const wanted = !request.ignoreResult || !isEmpty(running.embed);
    const onCall = async (call: unknown): Promise<unknown> => {
      const asked = call as ToWorker;
      if (!("ended" in asked)) return storeState(asked.state, passage.read(asked.meta));
      const verdict = new Promise<ChildVerdict>((said) => {
        answer = said;
      });
      resolve(readResult(asked.ended, passage, whole));
      return verdict;
    };
    done = child.run(childTask(request.delivery, request.hostname, wanted), onCall);
    done
      .then((end) => outcomeOf(end, passage, whole))
      .catch((error: unknown): Outcome => ({ kind: "failure", error, expected: false }))
      .then(resolve)
      .finally(() => {
        request.end = undefined;
        cancelLimits();
      });
  });
  const tell = async (end: TaskEnd): Promise<Reject | undefined> => {
    if (!answer || !done) return undefined;
    answer(verdictOf(end, passage, new ResultWriter(context)));
    const over = await done;
    const reject = over.kind === "done" ? (over.result as ChildTold).reject : null;
    return reject ? new Reject(reject.reason ?? undefined, reject.requeue) : undefined;
  };
  return { running: whole, outcome, tell };
}

/** The worker may fail what went well in the child: a result that cannot be stored, callbacks that cannot be sent. */
function verdictOf(end: TaskEnd, passage: Passage, results: ResultWriter): ChildVerdict {
  if (end.state !== "FAILURE") return { state: end.state, error: null };
  const { stored } = results.record(end.exception);
  return { state: end.state, error: { stored: passage.result(stored), traceback: end.traceback } };
}

function outcomeOf(end: JobEnd, passage: Passage, running: RunningTask): Outcome {
  if (end.kind === "lost") {
    return {
      kind: "lost",
      error: new WorkerLostError(`Worker exited prematurely: ${end.status} Job: ${end.job}.`),
    };
  }
  return readResult(end.result as ChildResult, passage, running);
}

function readResult({ end, children }: ChildResult, passage: Passage, running: RunningTask): Outcome {
  running.children.push(...children);
  return readEnd(end, passage);
}

function readEnd(end: ChildEnd, passage: Passage): Outcome {
  switch (end.kind) {
    case "success":
      return { kind: "success", value: end.value && passage.read(end.value), repr: end.repr };
    case "failure":
      return { kind: "failure", error: errorOf(end.error, passage), expected: end.expected };
    case "retry": {
      const options = { ...(passage.read(end.options) as Record<string, unknown>), ...end.times };
      const exc = end.exc && errorOf(end.exc, passage);
      return { kind: "retry", retry: { options, exc, message: end.text } };
    }
    case "replaced":
      return { kind: "replaced", replacement: { signature: passage.read(end.signature) as SignatureData } };
    case "rejected":
      return { kind: "rejected", reject: new Reject(end.reason ?? undefined, end.requeue) };
    case "ignored":
      return end;
  }
}

/** An error that is stored and shown as it was on the other side. */
export function errorOf({ stored, traceback }: ChildError, passage: Passage): Error {
  const exception = passage.read(stored) as StoredException;
  return recordedAs(taskError(exception, traceback), { stored: exception, traceback });
}
