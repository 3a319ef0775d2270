import "./arithmetic.ts";
import "./errors.ts";
import "./redis.ts";
import "./replacements.ts";
import "./requests.ts";
import "./retries.ts";
import "./signatures.ts";

/** Every task of Celery's own integration suite, `t/integration/tasks.py`, served from here. */
export { app } from "./app.ts";
