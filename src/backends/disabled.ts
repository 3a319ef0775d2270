import type { TaskMeta } from "../../protocol/result/meta.ts";
import type { ResultNode } from "../../protocol/result/result-tuple.ts";
import { ImproperlyConfigured, NotImplementedError } from "../app/errors.ts";
import type { ResultBackend } from "./backend.ts";

/** What Celery says, word for word: people look for it. */
const NO_CHORDS = `Starting chords requires a result backend to be configured.

Note that a group chained with a task is also upgraded to be a chord,
as this pattern requires synchronization.

Result backends that supports chords: Redis, Database, Memcached, and more.`;

/** No results: nothing is stored, and to ask for a result is an error. Mirrors `celery/backends/base.py DisabledBackend`. */
export class DisabledBackend implements ResultBackend {
  readonly url = "disabled://";
  readonly persistent = false;
  readonly supportsResultCompression = false;
  readonly chords = undefined;

  ensureChordsAllowed(): void {
    throw new NotImplementedError(NO_CHORDS);
  }

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
