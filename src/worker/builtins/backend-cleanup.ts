import { type Builtin, builtin } from "./builtin.ts";

/**
 * Drops results that have expired, on backends that do not do so by themselves. Python's beat sends it at 4 o'clock.
 * Mirrors `celery/app/builtins.py add_backend_cleanup_task`.
 */
export const backendCleanup: Builtin = (context) =>
  builtin(context, { name: "celery.backend_cleanup", parameters: [] }, async () => {
    const backend = await context.worker.backend();
    await backend.cleanup?.(new Date());
  });
