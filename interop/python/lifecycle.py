"""Tasks whose hooks and signals leave a line each in the file CELERIAC_TOLD; `../typescript/lifecycle.ts` does the same."""
import os
import time

from celery import Task, signals
from celery.exceptions import Ignore, Reject
from tasks import app


def told(*words):
    with open(os.environ["CELERIAC_TOLD"], "a") as file:
        file.write(" ".join(str(word) for word in words) + "\n")


class Told(Task):
    def before_start(self, task_id, args, kwargs):
        told(task_id, "before_start", list(args), kwargs)
        if args == ["unready"]:
            raise ValueError("not ready")

    def on_success(self, retval, task_id, args, kwargs):
        told(task_id, "on_success", retval, list(args), kwargs, self.request.id)
        if args == ["hook"]:
            raise ValueError("on_success")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        told(task_id, "on_failure", type(exc).__name__, list(args), kwargs, bool(einfo))

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        told(task_id, "on_retry", type(exc).__name__, list(args), kwargs)

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        told(task_id, "after_return", status, type(retval).__name__ if status == "FAILURE" else retval)


@app.task(name="lifecycle.run", base=Told, bind=True, throws=(KeyError,), acks_late=True)
def run(self, kind, by=None):
    if kind == "fail":
        raise ValueError("bad")
    if kind == "expected":
        raise KeyError("known")
    if kind == "retry" and self.request.retries == 0:
        raise self.retry(exc=ValueError("not yet"), countdown=0)
    if kind == "ignore":
        raise Ignore()
    if kind == "reject":
        raise Reject("no", requeue=False)
    if kind == "sleep":
        time.sleep(60)
    return by


NAMES = {
    "task_prerun": lambda task_id, **_: (task_id,),
    "task_postrun": lambda task_id, state, **_: (task_id, state),
    "task_failure": lambda task_id, exception, **_: (task_id, type(exception).__name__),
    "task_retry": lambda request, reason, **_: (request.id, type(reason.exc).__name__),
    "task_received": lambda request, **_: (request.id, request.name),
    "task_revoked": lambda request, terminated, signum, expired, **_: (request.id, terminated, signum, expired),
    "task_unknown": lambda name, id, **_: (id, name),
}
WORKER = ("worker_init", "celeryd_after_setup", "worker_ready", "worker_process_init", "worker_shutting_down",
          "worker_shutdown")
kept = []


def connect(name, words):
    def receiver(sender=None, **fields):
        first, *others = words(**fields)
        told(first, name, *others)
    kept.append(receiver)
    getattr(signals, name).connect(receiver)


for name, words in NAMES.items():
    connect(name, words)
for name in WORKER:
    connect(name, lambda name=name, **_: ("worker",))


@signals.task_success.connect
def on_success(sender, result, **_):
    told(sender.request.id, "task_success", result)


@signals.celeryd_init.connect
def on_init(sender, conf, **_):
    told("worker", "celeryd_init", sender)
    conf.task_default_rate_limit = None
