"""Tasks with one option each, and one that shows its request; `../task-options.test.ts` has the same in TypeScript."""
import os
import time

from celery.app.task import Context
from tasks import app

QUEUE = os.environ.get("CELERIAC_TASK_QUEUE", "celery")
#: All that is a field of a request, and what its headers add.
FIELDS = sorted(
    [name for name, value in vars(Context).items() if not name.startswith("_") and not callable(value)]
    + ["task", "lang", "argsrepr", "kwargsrepr"]
)


@app.task(name="options.request", bind=True, ignore_result=False)
def request(self, *args, **kwargs):
    return {name: getattr(self.request, name) for name in FIELDS if name != "children"}


@app.task(name="options.parent", bind=True)
def parent(self):
    """Sends two, by name and as a task."""
    children = [app.send_task("options.request", queue=QUEUE), request.apply_async(queue=QUEUE)]
    return [self.request.id, self.request.root_id, *(child.id for child in children), len(self.request.children)]


@app.task(name="options.trail_off", bind=True, trail=False)
def trail_off(self):
    app.send_task("options.request", queue=QUEUE)
    return len(self.request.children)


@app.task(name="options.ignored_failure", ignore_result=True, store_errors_even_if_ignored=True)
def ignored_failure():
    raise ValueError("kept")


@app.task(name="options.ignored", ignore_result=True)
def ignored():
    return 1


@app.task(name="options.started", track_started=True)
def started():
    time.sleep(1)
    return "over"


@app.task(name="options.quiet", send_events=False)
def quiet():
    return 1


@app.task(name="options.long", resultrepr_maxsize=20)
def long():
    return "x" * 100


@app.task(name="options.expected", throws=(KeyError,))
def expected():
    raise KeyError("known")


@app.task(name="options.progress", bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"done": 1})
    self.send_event("task-progress", done=1)
    time.sleep(1)
    return "over"


@app.task(name="options.annotated")
def annotated():
    """Has `ignore_result` from the setting task_annotations."""
    return 1
