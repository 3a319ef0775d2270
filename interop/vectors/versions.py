"""Captures what differs between the versions of Celery, with ids and times fixed, into versions/<version>.json.

    interop/vectors/capture-versions            runs it with every Celery of versions.json
"""
import base64
import json
import os
import re
import time
import uuid
from datetime import date, datetime, timedelta, timezone
from datetime import time as clock
from decimal import Decimal
from types import SimpleNamespace

import celery
import kombu
from celery import Celery, chord, group, states
from celery.backends.database.models import TaskExtended, TaskSet
from celery.backends.rpc import RPCBackend
from celery.utils.time import utcoffset
from celery.worker import control
from celery.worker import state as worker_state
from kombu import serialization
from kombu.utils.json import dumps

HERE = os.path.dirname(os.path.abspath(__file__))
NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
ID = "d0f4a1b2-0000-4000-8000-00000000000{}".format

app = Celery("vectors", broker="memory://", backend="cache+memory://")
app.conf.update(timezone="Asia/Kolkata", result_extended=False)


@app.task(name="tasks.add")
def add(x=0, y=0):
    return x + y


def sent(send):
    """What is handed to the producer while something is sent."""
    messages = []
    publish = kombu.Producer.publish
    kombu.Producer.publish = lambda self, body, **options: messages.append(
        {"headers": options.get("headers"), "body": body, "properties": sorted(set(options) & {"expiration"})})
    try:
        send()
    finally:
        kombu.Producer.publish = publish
    return messages


def typed(value):
    try:
        return dumps(value)
    except Exception:
        return None


def bodies():
    """The body of a chord, as its parts carry it."""
    for message in sent(lambda: chord([add.s(1), add.s(2)], add.s(3))()):
        args, kwargs, embed = message["body"]
        if embed["chord"]:
            yield embed["chord"]


def reply_to_revoke():
    state = SimpleNamespace(hostname="celery@host", app=app, consumer=None, tset=set)
    worker_state.revoked.clear()
    return control.revoke(state, "r1")


def reply_to_hello():
    worker_state.revoked.clear()
    worker_state.revoked.add("r1", now=5.5)
    worker_state.revoked.purge = lambda *args, **kwargs: None
    return control.hello(SimpleNamespace(hostname="celery@host", app=app), "other@host")["revoked"]


def date_done():
    meta = app.backend._get_result_meta(1, states.SUCCESS, None, None)["date_done"]
    moment = datetime.fromisoformat(meta)
    ahead = moment.replace(tzinfo=None) - datetime.now(timezone.utc).replace(tzinfo=None)
    return {"shape": re.sub(r"\d", "0", meta[:26]) + meta[26:], "minutesAhead": round(ahead.total_seconds() / 60)}


def queue(of):
    return {"durable": of.durable, "exclusive": of.exclusive, "autoDelete": of.auto_delete,
            "arguments": dict(of.queue_arguments or {}), "expires": of.expires, "messageTtl": of.message_ttl}


def capture():
    values = [
        NOW, datetime(2031, 5, 6, 7, 8, 9), datetime(2031, 5, 6, 7, 8, 9, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        date(2031, 5, 6), clock(7, 8, 9, 10), Decimal("1.10"), uuid.UUID(ID(9)),
    ]
    pickled = ["grüße", b"\x00\xff", {1}, frozenset(["a"]), (1, 2.5), {"a": [None, True, 2**70]}] + values
    task = app.amqp.as_task_v2(ID(0), "tasks.add", args=(2, 3), origin="gen1@host", now=NOW)
    moment = datetime.now(timezone.utc) + timedelta(hours=1)
    grouped = sent(lambda: group(add.s(1), add.s(2))())
    body = next(bodies())
    return {
        "headers": dumps(task.headers),
        "expiration": sent(lambda: add.apply_async(expires=moment))[0]["properties"],
        "groupIndex": [message["headers"].get("group_index") for message in grouped],
        "chordBodyKeys": sorted(body),
        "chordBodyOptions": sorted(body["options"]),
        "chordSize": body.get("chord_size"),
        "typed": [{"repr": repr(value), "json": typed(value)} for value in values],
        "bytes": [typed(b"a"), typed(b"\xff")],
        "pickles": [
            {"repr": repr(value), "bytes": base64.b64encode(serialization.dumps(value, serializer="pickle")[2]).decode()}
            for value in pickled
        ],
        "dateDone": date_done(),
        "utcoffset": [dumps(utcoffset(SimpleNamespace(timezone=seconds, altzone=seconds), lambda: SimpleNamespace(tm_isdst=0)))
                      for seconds in (0, -19800, 12600)],
        "revoke": dumps(reply_to_revoke()),
        "hello": dumps(reply_to_hello()),
        "mailbox": queue(app.control.mailbox.get_queue("celery@host")),
        "mailboxReply": queue(app.control.mailbox.get_reply_queue()),
        "rpcReply": queue(RPCBackend(app=app).binding),
        "taskColumns": list(TaskExtended.__table__.columns.keys()),
        "indexed": {table.name: sorted(column.name for index in table.indexes for column in index.columns)
                    for table in (TaskExtended.__table__, TaskSet.__table__)},
    }


def main():
    content = {"celery": celery.__version__, "kombu": kombu.__version__, **capture()}
    path = os.path.join(HERE, "versions", f"{celery.__version__}.json")
    with open(path, "w") as file:
        file.write(json.dumps(content, indent=1, ensure_ascii=True) + "\n")
    print(path)


if __name__ == "__main__":
    main()
