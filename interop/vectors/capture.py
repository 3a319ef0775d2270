"""Captures what Celery itself writes, with ids and times fixed, into the JSON files beside this script.

    make-venv's python interop/vectors/capture.py            writes them anew
    make-venv's python interop/vectors/capture.py --check    says whether they would differ, exit code 1 if so

Texts are what goes over the wire, as text; bytes are base64. Inputs are given in kombu's own typed JSON.
"""
import base64
import json
import os
import pickle
import sys
import uuid
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import celery
import kombu
import kombu.pidbox
from celery import Celery, chain, chord, group, signature, states
from celery.events.event import Event
from celery.exceptions import Reject, Retry, TaskRevokedError
from celery.utils.saferepr import saferepr
from celery.worker.strategy import hybrid_to_proto2
from kombu import serialization
from kombu.transport import memory, virtual
from kombu.utils.json import dumps

from delayed import delayed_delivery
from formats import bombs, compressed, compressed_results, pickle_refused, pickle_values, yaml_texts, yaml_values
from sent_canvases import sent_canvases
from signed import signed_messages

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
ID = "d0f4a1b2-0000-4000-8000-00000000000{}".format
ORIGIN = "gen1@host"

app = Celery("vectors", broker="memory://", backend="cache+memory://")
app.conf.update(result_extended=False)


@app.task(name="tasks.add")
def add(x, y):
    return x + y


@app.task(name="tasks.step")
def step(*args, **kwargs):
    pass


class Coffee:
    def __repr__(self):
        return "<Coffee>"


def messages():
    sub = signature("tasks.add", (1,), task_id=ID(5), app=app)
    calls = {
        "plain": {"args": (2, 3)},
        "keywords": {"args": (), "kwargs": {"x": 1, "y": "two"}},
        "nothing": {},
        "numbers": {"args": (1.0, 1e22, -0.0, 2**53 + 1, -(2**70), 1e-7, 123456789.125, True, None)},
        "not finite": {"args": (float("inf"), float("-inf"), float("nan"))},
        "text": {"args": ("grüße", "日本", "😀", "quote\"back\\slash/", "\u2028\x00\x1f\x7f", "it's", "it's \"both\"")},
        "typed values": {"args": (
            NOW, datetime(2031, 5, 6), datetime(2031, 5, 6, 7, 8, 9, 5, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
            date(2031, 5, 6), time(7, 8, 9, 10), Decimal("1.10"), uuid.UUID(ID(9)), b"\x00\xffraw",
        )},
        "nested": {"args": ([[[[[1]]]]], {"a": {"b": {"c": {"d": 1}}}}, [], {}, [None])},
        "long": {"args": ("x" * 2000,), "kwargs": {"numbers": list(range(1000))}},
        "countdown": {"args": (1,), "countdown": 10},
        "eta": {"args": (1,), "eta": NOW},
        "naive eta": {"args": (1,), "eta": datetime(2031, 5, 6, 7, 8, 9)},
        "expires in seconds": {"args": (1,), "expires": 60.5},
        "limits": {"args": (1,), "time_limit": 60, "soft_time_limit": 30},
        "group member": {"args": (1,), "group_id": ID(2), "group_index": 3},
        "retry": {"args": (1,), "retries": 2, "parent_id": ID(1), "root_id": ID(3), "shadow": "other.name"},
        "callbacks": {"args": (1,), "callbacks": [sub], "errbacks": [sub.clone().set(immutable=True)]},
        "rest of a chain": {"args": (1,), "chain": [signature("tasks.mul", (2.0,), task_id=ID(6), app=app)]},
        "chord member": {"args": (1,), "group_id": ID(2), "chord": signature("tasks.tsum", task_id=ID(7), app=app)},
        "stamped": {"args": (1,), "stamped_headers": ["tenant"], "tenant": "a"},
        "ignored": {"args": (1,), "ignore_result": True, "reply_to": ID(8)},
    }
    for name, options in calls.items():
        message = app.amqp.as_task_v2(ID(0), "tasks.add", origin=ORIGIN, now=NOW, **options)
        yield {
            "name": name,
            "options": dumps(options),
            "headers": dumps(message.headers),
            "properties": dumps(message.properties),
            "body": dumps(message.body),
        }


def messages_v1():
    sub = signature("tasks.add", (1,), task_id=ID(5), app=app)
    calls = {
        "plain": {"args": (2, 3)},
        "keywords": {"kwargs": {"y": 1}, "retries": 1},
        "nothing": {},
        "countdown": {"args": (1,), "countdown": 10},
        "eta": {"args": (1,), "eta": NOW, "expires": NOW},
        "limits": {"args": (1,), "time_limit": 60, "soft_time_limit": 30, "expires": 60.5, "reply_to": ID(8)},
        "chord member": {"args": (1,), "group_id": ID(2), "group_index": 3, "chord": signature("tasks.tsum", task_id=ID(7), app=app)},
        "callbacks": {"args": (1,), "callbacks": [sub], "errbacks": [sub.clone().set(immutable=True)]},
    }
    for name, options in calls.items():
        message = app.amqp.as_task_v1(ID(0), "tasks.add", now=NOW, **options)
        yield {"name": name, "options": dumps(options), "body": dumps(message.body), "properties": dumps(message.properties)}


def hybrids():
    """A body of protocol 1 below headers of protocol 2, and what Celery's worker makes of both."""
    full = app.amqp.as_task_v2(ID(0), "tasks.add", args=(1,), origin=ORIGIN, now=NOW, shadow="shown", group_id=ID(2)).headers
    bodies = {
        "plain": app.amqp.as_task_v1(ID(0), "tasks.add", args=(1,), kwargs={"y": 2}, now=NOW).body,
        "everything": app.amqp.as_task_v1(
            ID(1), "tasks.other", args=(1,), eta=NOW, expires=NOW, retries=2, group_id=ID(3), time_limit=6, soft_time_limit=5,
            callbacks=[signature("tasks.add", (1,), task_id=ID(5), app=app)], now=NOW).body,
        "little": {"task": "tasks.add", "id": ID(0), "args": [1]},
    }
    headers = {"all": full, "names": {"task": "tasks.add", "id": ID(0)}, "own": {"task": "tasks.add", "id": ID(0), "tenant": "a", "retries": 1}}
    for body_name, body in bodies.items():
        for headers_name, given in headers.items():
            message = type("Message", (), {"headers": dict(given), "payload": json.loads(dumps(body))})
            (args, kwargs, embed), merged, _, utc = hybrid_to_proto2(message, message.payload)
            yield {"name": f"{body_name}, {headers_name}", "headers": dumps(given), "body": dumps(body),
                   "read": dumps([[args, kwargs, embed], merged, utc])}


def envelopes():
    """What a virtual transport writes: taken out of kombu's memory transport."""
    virtual.Channel._next_delivery_tag = lambda self: ID(4)
    virtual.base.Channel._next_delivery_tag = lambda self: ID(4)
    for name, options in {
        "plain": {},
        "priority": {"priority": 6},
        "expiration": {"expires": 60},
        "headers": {"headers": {"tenant": "a"}},
    }.items():
        memory.Channel.queues.clear()
        add.apply_async((2, 3), task_id=ID(0), origin=ORIGIN, reply_to=ID(8), **options)
        with app.connection_for_write() as connection:
            payload = connection.default_channel._queue_for("celery").get()
        # Both carry the time at which they were sent.
        payload["headers"]["expires"] = None
        payload["headers"]["origin"] = ORIGIN
        payload["properties"]["delivery_tag"] = ID(4)
        yield {"name": name, "text": dumps(payload)}


def results():
    backend = app.backend

    class Request:
        id = ID(0)
        group = None
        parent_id = None
        children = []
        correlation_id = ID(0)
        reply_to = None
        task = "tasks.add"
        args = [2, 3]
        kwargs = {}
        hostname = "celery@host"
        retries = 0
        delivery_info = {"routing_key": "celery"}
        stamped_headers = None
        stamps = {}

    def request(**more):
        return type("Request", (Request,), more)

    parent = celery.result.AsyncResult(ID(1), app=app)
    members = celery.result.GroupResult(ID(2), [celery.result.AsyncResult(ID(n), app=app) for n in (3, 4)], parent=parent, app=app)
    cases = {
        "success": (states.SUCCESS, 5, None, request()),
        "none": (states.SUCCESS, None, None, request()),
        "values": (states.SUCCESS, {"a": [1.0, 2**60, "ü", NOW, Decimal("0.1")]}, None, request()),
        "failure": (states.FAILURE, ValueError("bad", 1), "Traceback (most recent call last): …", request()),
        "own error": (states.FAILURE, type("OutOfStock", (Exception,), {"__module__": "shop.errors"})("apple"), "tb", request()),
        "key error": (states.FAILURE, KeyError("k"), "tb", request()),
        "retry": (states.RETRY, Retry("again", ValueError("x"), 10), "tb", request()),
        "revoked": (states.REVOKED, TaskRevokedError("terminated"), None, request()),
        "rejected": (states.FAILURE, Reject("no", requeue=False), None, request()),
        "started": (states.STARTED, {"pid": 1, "hostname": "celery@host"}, None, request()),
        "progress": ("PROGRESS", {"done": 0.5}, None, request()),
        "children": (states.SUCCESS, 1, None, request(children=[parent, members])),
        "group member": (states.SUCCESS, 1, None, request(group=ID(2), parent_id=ID(1))),
    }
    for extended in (False, True):
        app.conf.result_extended = extended
        for name, (state, result, traceback, of) in cases.items():
            stored = backend.encode_result(result, state)
            meta = backend._get_result_meta(stored, state, traceback, of)
            meta["task_id"] = ID(0)
            if meta["date_done"]:
                meta["date_done"] = NOW.isoformat()
            text = backend.encode(meta)
            yield {"name": name, "extended": extended, "state": state, "text": text if isinstance(text, str) else text.decode()}
    app.conf.result_extended = False
    yield {"name": "saved group", "extended": False, "state": "GROUP", "text": backend.encode({"result": members.as_tuple()})}


def database_rows():
    """Rows as they are before they reach the database, and their values as SQLAlchemy pickled them up to Celery 5.6."""
    from celery.backends.database import DatabaseBackend
    from celery.backends.database.models import TaskExtended

    class Request:
        id = ID(0)
        group = parent_id = None
        children = [celery.result.AsyncResult(ID(1), app=app)]
        task = "tasks.add"
        args = [2, "ü"]
        kwargs = {"k": 1.5}
        hostname = "celery@host"
        retries = 1
        delivery_info = {"routing_key": "celery"}
        stamped_headers = ["tenant"]
        stamps = {"tenant": "a", "other": "b"}

    app.conf.result_extended = True
    backend = DatabaseBackend(app=app, url="sqlite://")
    cases = {
        "success": (states.SUCCESS, {"a": [1, 2.5, None, True, "ü", 2**70, -300, 70000], "b": {}}, Request),
        "none": (states.SUCCESS, None, None),
        "failure": (states.FAILURE, ValueError("bad", 1), None),
        "started": (states.STARTED, {"pid": 1, "hostname": "celery@host"}, None),
        "progress": ("PROGRESS", {"done": 0.5}, None),
        "revoked": (states.REVOKED, TaskRevokedError("revoked"), None),
    }
    for name, (state, result, request) in cases.items():
        row = TaskExtended(ID(0))
        stored = backend.encode_result(result, state)
        backend._update_result(row, stored, state, traceback="tb", request=request)
        values = {key: value.decode() if isinstance(value, bytes) else value for key, value in row.to_dict().items()}
        values["date_done"] = values["date_done"] and NOW.isoformat()
        pickles = [base64.b64encode(pickle.dumps(stored, protocol)).decode() for protocol in (2, 3, 4, 5)]
        yield {"name": name, "row": values, "pickles": pickles}
    app.conf.result_extended = False


def reprs():
    values = [
        0, -1, 2**70, 1.0, -0.0, 1e16, 1e15, 1e-5, 1e-4, 1.5e300, 0.1, float("inf"), float("nan"), True, None, "", "a", "it's",
        "both ' and \"", "\n\t\\", "\x00\x7f\x80\xad", "ü日😀\u2028\ud7ff", [], [1], {}, {"a": 1}, {"a": {"b": [1, {"c": 2}]}}, [[[[[]]]]],
        "x" * 200, ["y" * 200], list(range(200)), {str(n): n for n in range(60)}, b"raw\x00'\"", NOW, datetime(2031, 5, 6), date(2031, 5, 6),
        time(7, 8), Decimal("1.10"), uuid.UUID(ID(9)), datetime(2031, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ]
    for value in values:
        yield {"value": dumps(value), "repr": repr(value), "saferepr": saferepr(value, 1024)}


def json_values():
    values = [
        0, -1, 2**53, 2**53 + 1, -(2**63), 2**200, 1.0, -0.0, 0.1, 1e21, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, float("inf"),
        "a\"\\/\b\f\n\r\t\x00\x7f", "é\u2028😀\ud7ff", [1, [2, {"three": None}]], {"": 1, "ü": True, "__proto__": {"x": 1}}, NOW,
        datetime(2031, 5, 6, 7, 8, 9), date(2031, 5, 6), time(7, 8, 9, 1), Decimal("-0.000001"), Decimal("1E+3"), uuid.UUID(ID(9)), b"", b"\x80raw",
        None,
    ]
    for value in values:
        yield {"text": dumps(value), "repr": repr(value)}


def msgpack_values():
    for value in [0, 127, 128, -1, -33, 2**31, 2**53 + 1, 2**64 - 1, -(2**63), 1.5, "text", "ü" * 40, [1, [2]], {"a": None, "b": True}, b"raw", list(range(20))]:
        content_type, encoding, payload = serialization.dumps(value, serializer="msgpack")
        yield {"repr": repr(value), "json": dumps(value), "contentType": content_type, "encoding": encoding,
               "bytes": base64.b64encode(payload).decode()}


def events():
    for type_, fields in {"worker-heartbeat": {"freq": 2.0, "active": 0, "processed": 3, "loadavg": [0.1, 0.2, 0.3]},
                          "task-received": {"uuid": ID(0), "name": "tasks.add", "args": "(1,)", "kwargs": "{}"}}.items():
        event = Event(type_, hostname="celery@host", utcoffset=0.0, pid=1, clock=7, timestamp=1.5, **fields)
        yield {"name": type_, "text": dumps(event)}


def pidbox():
    """What the mailbox hands to its producer."""
    sent = []
    publish = kombu.Producer.publish
    kombu.Producer.publish = lambda self, body, *args, **kwargs: sent.append(body)
    kombu.pidbox.uuid = lambda: ID(1)
    try:
        app.control.broadcast("ping")
        app.control.revoke(ID(0), destination=["celery@host"])
        app.control.broadcast("ping", pattern="celery@*", matcher="glob")
    finally:
        kombu.Producer.publish = publish
    for message in sent:
        yield {"name": message["method"], "text": dumps(message)}


def canvases():
    """Signatures as data, for what TypeScript composes the same."""
    a, b, c = (signature("tasks.add", (n,), app=app) for n in (1, 2, 3))
    for name, sig in {
        "signature": a,
        "immutable": signature("tasks.add", (1,), {"y": 2}, immutable=True, app=app),
        "with options": a.clone().set(queue="q", countdown=2),
        "linked": a.clone().set(queue="q"),
        "chain": chain(a, b, c),
        "group": group(a, b),
        "chord": chord([a, b], c),
        "map": add.map([1, 2]),
        "starmap": add.starmap([[1, 2]]),
        "chunks": add.chunks([[1, 2], [3, 4], [5, 6]], 2),
    }.items():
        yield {"name": name, "text": dumps(dict(sig))}


CAPTURES = {
    "messages": messages, "messages-v1": messages_v1, "hybrids": hybrids, "envelopes": envelopes, "results": results, "reprs": reprs,
    "database-rows": database_rows,
    "json-values": json_values, "msgpack-values": msgpack_values, "events": events, "pidbox": pidbox, "canvases": canvases,
    "pickle-values": pickle_values, "pickle-refused": pickle_refused, "yaml-values": yaml_values, "yaml-texts": yaml_texts,
    "signed-messages": signed_messages, "compressed": compressed, "compressed-results": compressed_results, "bombs": bombs,
    "delayed-delivery": delayed_delivery, "sent-canvases": lambda: sent_canvases(step),
}

# Salt and keys are random, and no two versions of a library compress alike: these can only be there.
NEVER_THE_SAME = {"signed-messages", "compressed", "compressed-results", "bombs"}


def main():
    check = "--check" in sys.argv
    different = []
    for name, capture in CAPTURES.items():
        path = os.path.join(HERE, f"{name}.json")
        if check and name in NEVER_THE_SAME and os.path.exists(path):
            continue
        content = {"celery": celery.__version__, "kombu": kombu.__version__, "vectors": list(capture())}
        text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
        if check:
            if not os.path.exists(path) or open(path).read() != text:
                different.append(name)
        else:
            with open(path, "w") as file:
                file.write(text)
            print(f"{name}: {len(content['vectors'])}")
    if different:
        sys.exit(f"these would differ: {', '.join(different)}")


if __name__ == "__main__":
    main()
