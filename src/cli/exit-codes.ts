/** Exit codes of Celery's command. Mirrors `celery/platforms.py` and click. */
export const EX_OK = 0;
/** The thing asked for failed: a task's error, a cold stop. */
export const EX_FAILURE = 1;
/** The command line cannot be understood. */
export const EX_USAGE = 2;
/** Nobody answers. */
export const EX_UNAVAILABLE = 69;
