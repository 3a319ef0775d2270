import type { TaskMeta } from "../../protocol/result/meta.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { ImproperlyConfigured } from "../app/errors.ts";
import type { ResultBackend } from "./backend.ts";

/** No results: nothing is stored, and to ask for a result is an error. Mirrors `celery/backends/base.py DisabledBackend`. */
export class DisabledBackend implements ResultBackend {
  readonly url = "disabled://";
  readonly persistent = false;
  readonly supportsResultCompression = false;
  readonly chords = undefined;

  async storeResult(): Promise<void> {}

  getTaskMeta(): Promise<TaskMeta> {
    return noBackend();
  }

  wait(): Promise<TaskMeta> {
    return noBackend();
  }

  forget(): Promise<void> {
    return noBackend();
  }

  saveGroup(): Promise<void> {
    return noBackend();
  }

  restoreGroup(): Promise<ResultNode | null> {
    return noBackend();
  }

  deleteGroup(): Promise<void> {
    return noBackend();
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

function noBackend(): Promise<never> {
  return Promise.reject(
    new ImproperlyConfigured(
      'No result backend is configured: give the application a backend, as in new Celery(name, { backend: "redis://localhost/0" }), or set CELERY_RESULT_BACKEND',
    ),
  );
}
