"""Captures what Celery 5.6 keeps in the `result` columns of a database into pickled-rows.json: pickles of protocol 5.

    "$(interop/python/make-venv 5.6.3)" interop/vectors/pickled_rows.py [--check]
"""
import base64
import collections
import enum
import json
import os
import sqlite3
import sys
import tempfile
import types
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import celery
import kombu
from celery import Celery, states
from celery.exceptions import Retry, TaskRevokedError
from celery.result import AsyncResult, EagerResult, GroupResult
from sqlalchemy.pool import NullPool

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
ID = "d0f4a1b2-0000-4000-8000-00000000000{}".format

app = Celery("vectors", broker="memory://", backend="db+sqlite:///results.db")


class OutOfStock(Exception):
    pass


class Coffee:
    pass


class Size(enum.Enum):
    SMALL = 1


Order = collections.namedtuple("Order", "item count")

# A module that TypeScript's side cannot have.
shop = types.ModuleType("shop")
for cls in (OutOfStock, Coffee, Size, Order):
    cls.__module__ = "shop"
    setattr(shop, cls.__name__, cls)
sys.modules["shop"] = shop


def stored(state, value, serializer="json"):
    """The bytes in the column once Celery stored this."""
    app.conf.result_serializer = serializer
    task_id = str(uuid.uuid4())
    # The serializer is read when the backend is made.
    backend = app.backend.__class__(app=app, url=app.backend.url)
    backend.store_result(task_id, value, state)
    row = sqlite3.connect("results.db").execute("SELECT result FROM celery_taskmeta WHERE task_id = ?", [task_id])
    return base64.b64encode(row.fetchone()[0]).decode()


def saved(group):
    app.backend.save_group(group.id, group)
    row = sqlite3.connect("results.db").execute("SELECT result FROM celery_tasksetmeta WHERE taskset_id = ?", [group.id])
    return base64.b64encode(row.fetchone()[0]).decode()


def values():
    result = app.AsyncResult(ID(1), parent=app.AsyncResult(ID(2)))
    for value in [
        True, 0, 2**70, 0.5, "grüße", b"\x00\xff", [1, [2]], (1, (2,)), {"a": {1: None}}, {1}, frozenset(["a"]), NOW,
        datetime(2031, 5, 6), date(2031, 5, 6), time(7, 8, 9), timedelta(days=-1, microseconds=5), Decimal("1.10"), uuid.UUID(ID(9)),
        collections.OrderedDict([("b", 1)]), ValueError("bad", 1), [KeyError("k")], {"when": NOW, "cost": Decimal("1.10")}, result,
        app.GroupResult(ID(0), [result]),
    ]:
        yield {"repr": repr(value.as_tuple() if isinstance(value, AsyncResult | GroupResult) else value), "bytes": stored("SUCCESS", value)}
    error = ValueError("bad", (1, Decimal("1.10")))
    revoked = TaskRevokedError("revoked")
    for state, exc in [(states.FAILURE, error), (states.FAILURE, OutOfStock("apple", 3)), (states.REVOKED, revoked), (states.RETRY, KeyError("k"))]:
        yield {"repr": repr(app.backend.prepare_exception(exc, "json")), "bytes": stored(state, exc)}
    for state, exc in [(states.FAILURE, error), (states.REVOKED, revoked), (states.RETRY, KeyError("k"))]:
        yield {"repr": repr(exc), "bytes": stored(state, exc, "pickle")}
    # Its own repr shows itself in the place of its message.
    yield {"repr": "Retry('later', None, 5)", "bytes": stored(states.RETRY, Retry("later", None, 5), "pickle")}
    yield {"repr": repr(result.as_tuple()), "bytes": stored("SUCCESS", result, "pickle")}
    yield {"repr": repr(((ID(0), None), [result.as_tuple()])), "bytes": stored("SUCCESS", app.GroupResult(ID(0), [result]), "pickle")}
    yield {"repr": repr(((ID(3), None), None)), "bytes": stored("SUCCESS", EagerResult(ID(3), 5, "SUCCESS"), "pickle")}


def refused():
    """Classes that are not read, with the name that the error tells."""
    for value in [OutOfStock("apple", 3), Coffee(), Size.SMALL, Order("apple", 3), range(3), 1j]:
        module = type(value).__module__
        yield {"names": f"{module}.{type(value).__name__}" if module == "shop" else type(value).__name__, "bytes": stored("SUCCESS", value)}
    yield {"names": "celery.backends.base.unpickle_backend", "bytes": stored("SUCCESS", [app.backend])}
    yield {"names": "shop.OutOfStock", "bytes": stored(states.FAILURE, OutOfStock("apple", 3), "pickle")}


def groups():
    a, b, parent = app.AsyncResult(ID(1)), app.AsyncResult(ID(2)), app.AsyncResult(ID(3))
    following = app.AsyncResult(ID(4), parent=parent)
    for name, group in {
        "of one task": app.GroupResult(ID(5), [a]),
        "of nothing": app.GroupResult(ID(6), []),
        "of tasks, a group and the end of a chain": app.GroupResult(ID(7), [a, app.GroupResult(ID(8), [b, a]), following]),
        "of results that no application made": GroupResult(ID(9), [AsyncResult("plain", parent=AsyncResult("before")), EagerResult("eager", 5, "SUCCESS")]),
    }.items():
        yield {"name": name, "tuple": group.as_tuple(), "bytes": saved(group)}
    app.backend.engine_options = {**app.backend.engine_options, "poolclass": NullPool}
    pooled = app.GroupResult("pooled", [a])
    yield {"name": "with an engine option that is a class", "tuple": pooled.as_tuple(), "bytes": saved(pooled)}


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        content = {
            "celery": celery.__version__, "kombu": kombu.__version__,
            "vectors": [{"name": capture.__name__, "values": list(capture())} for capture in (values, refused, groups)],
        }
    path = os.path.join(HERE, "pickled-rows.json")
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    if "--check" in sys.argv:
        if open(path).read() != text:
            sys.exit("pickled-rows would differ")
    else:
        with open(path, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
