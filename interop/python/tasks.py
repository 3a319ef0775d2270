"""What the Python side of the interop tests, the demo and the benchmarks serves.

Told by the environment, so that one module serves every broker and backend:

    CELERY_BROKER_URL, CELERY_RESULT_BACKEND   as Celery itself reads them
    CELERIAC_TASK_QUEUE                        the queue this side works for (default: celery)
    CELERIAC_SETTINGS                          more settings, a JSON object of Celery's lower-case names
"""
import json
import os
import time
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from celery import Celery

app = Celery(
    "interop",
    broker=os.environ.get("CELERY_BROKER_URL"),
    backend=os.environ.get("CELERY_RESULT_BACKEND"),
)
app.conf.update(
    task_default_queue=os.environ.get("CELERIAC_TASK_QUEUE", "celery"),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=True,
)
app.conf.update(json.loads(os.environ.get("CELERIAC_SETTINGS", "{}")))
if app.conf.task_serializer == "auth":
    app.setup_security(digest=app.conf.security_digest)


class OutOfStock(Exception):
    """An error of our own, with more than one argument."""


@app.task(name="tasks.add")
def add(x, y):
    return x + y


@app.task(name="tasks.mul")
def mul(x, y):
    return x * y


@app.task(name="tasks.tsum")
def tsum(numbers):
    return sum(numbers)


@app.task(name="tasks.echo")
def echo(value=None):
    return value


@app.task(name="tasks.keywords")
def keywords(a, b=2, *args, c=3, **kwargs):
    return {"a": a, "b": b, "args": list(args), "c": c, "kwargs": kwargs}


@app.task(name="tasks.describe")
def describe(value):
    """What this side sees: for values that look alike in JavaScript."""
    return repr(value)


@app.task(name="tasks.values")
def values():
    """One of each value that JSON itself does not have."""
    return {
        "datetime": datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc),
        "date": date(2031, 5, 6),
        "decimal": Decimal("1.10"),
        "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        "bytes": b"\x00\xff",
        "big": 2**70,
        "float": 1.0,
    }


@app.task(name="tasks.python_values")
def python_values():
    """One of each value that only pickle has."""
    return {
        "tuple": (1, (2,)), "set": {1}, "frozenset": frozenset(["a"]), "timedelta": timedelta(days=-1, microseconds=5),
        "error": KeyError("k"), "moment": datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc), "decimal": Decimal("1.10"),
        "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "bytes": b"\x00\xff", "keys": {1: "a"}, "big": 2**70, "float": 1.0,
    }


@app.task(name="tasks.fail")
def fail(message="broken"):
    raise ValueError(message)


@app.task(name="tasks.out_of_stock")
def out_of_stock(item, left):
    raise OutOfStock(item, left)


EXCEPTIONS = {
    "no arguments": ValueError(),
    "several": ValueError("a", None, True, [1]),
    "key": KeyError("k"),
    "number key": KeyError(1),
    "file": FileNotFoundError(2, "No such file or directory"),
    "connection": ConnectionRefusedError(111, "Connection refused"),
    "one argument": OSError("alone"),
    "bytes": UnicodeDecodeError("utf-8", b"a\xff", 1, 2, "invalid start byte"),
    "many bytes": UnicodeDecodeError("utf-8", b"a\xff\xfe", 1, 3, "invalid"),
    "syntax": SyntaxError("bad", ("folder/file.py", 3, 1, "text")),
    "decimal": ValueError(Decimal("1.10")),
    "uuid": ValueError(uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
    "datetime": ValueError(datetime(2031, 5, 6, 7, 8, 9, 1000)),
    "date": ValueError(date(2031, 5, 6)),
    "list": ValueError(["a", 1]),
    "soft limit": SoftTimeLimitExceeded(),
    "hard limit": TimeLimitExceeded(5),
}


@app.task(name="tasks.throw")
def throw(kind):
    raise EXCEPTIONS[kind]


@app.task(name="tasks.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@app.task(name="tasks.acks_late_sleep", acks_late=True, reject_on_worker_lost=True)
def acks_late_sleep(seconds, value):
    time.sleep(seconds)
    return value


@app.task(name="tasks.append")
def append(path, line):
    """Leaves a trace of each run, so that two runs of one task show."""
    time.sleep(0.02)
    with open(path, "a") as file:
        file.write(line + "\n")


@app.task(name="tasks.flaky", bind=True, default_retry_delay=0.1)
def flaky(self, failures):
    """Succeeds after that many retries."""
    if self.request.retries < failures:
        raise self.retry(exc=ValueError("not yet"), countdown=0.1)
    return self.request.retries


@app.task(name="tasks.progress", bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"done": 1})
    time.sleep(0.5)
    return "done"


@app.task(name="tasks.whoami", bind=True)
def whoami(self):
    return self.request.hostname


@app.task(name="tasks.request", bind=True)
def request(self):
    asked = ("id", "root_id", "parent_id", "retries", "group", "group_index", "correlation_id",
             "reply_to", "origin", "timelimit", "delivery_info")
    got = {name: getattr(self.request, name, None) for name in asked}
    # Up to 5.2 a custom header is an attribute of the request.
    got["tenant"] = (self.request.headers or {}).get("tenant") or getattr(self.request, "tenant", None)
    return got
