"""What the tests of results call by name; their other half is `interop/result-sides.ts`."""
import json
import os
from datetime import date, datetime, timezone
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

from celery import Celery
from celery.app.task import Context
from celery.result import AsyncResult, GroupResult, ResultSet

#: One of each value that JSON itself does not have.
VALUES = {
    "when": datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc), "day": date(2031, 5, 6),
    "cost": Decimal("1.10"), "key": UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "raw": b"\x00\xff",
}


def app_with(backend=None, **settings):
    """Another application of this process, with the same settings but for these."""
    other = Celery("other", set_as_current=False)
    # Celery would take CELERY_RESULT_BACKEND in the place of the setting.
    other.backend_cls = backend
    other.conf.update(json.loads(os.environ["CELERIAC_SETTINGS"]))
    other.conf.update(settings)
    return other


def extended():
    """A request as a worker has it."""
    return SimpleNamespace(
        task="tasks.add", args=(1, "ü"), kwargs={"k": [1.5]}, hostname="w@h", retries=2, id="r",
        delivery_info={"routing_key": "q"}, group=None, parent_id=None, children=[AsyncResult("child")],
        stamps={"s": ["x"]}, stamped_headers=["s"], chord=None,
    )


def addressed(request, task_id, reply_to):
    """A request whose sender waits at `reply_to`, where results go by message."""
    if reply_to is None:
        return request
    request = request or Context()
    request.reply_to, request.correlation_id = reply_to, task_id
    return request


def store(app, task_id, reply_to, result, state, traceback=None, request=None):
    app.backend.store_result(
        task_id, result, state, traceback=traceback, request=addressed(request, task_id, reply_to))


def revoke(app, task_id, reply_to):
    app.backend.mark_as_revoked(task_id, "revoked", request=addressed(None, task_id, reply_to))


def reply_queue(app):
    """The queue that results come to, declared; without the consumer that an earlier get() left there, behind which
    a look for a state finds nothing."""
    consumer = app.backend.result_consumer
    if consumer._consumer is not None:
        consumer.stop()
        consumer._consumer = consumer._connection = None
    with app.connection_for_write() as connection:
        app.backend.binding(connection.default_channel).declare()
    return app.backend.oid


def as_tuple(group):
    return group and group.as_tuple()


def own_errors(module):
    """An error in a class, in the module of the application's tasks."""
    class Outer:
        class Inner(Exception):
            pass
    for cls, name in (Outer, "Outer"), (Outer.Inner, "Outer.Inner"):
        cls.__module__, cls.__qualname__ = module.__name__, name
    module.Outer = Outer
    return Outer
