"""What a client learns of the tasks of `options.py`, whoever serves them."""
import threading
import time

from celery import chain, chord, group, signature

SHOWN = ("type", "result", "exception", "done", "args", "kwargs", "name")


class Monitor:
    """Hears all events, from when it is made."""

    def __init__(self, app):
        self.seen = []
        listening = threading.Event()

        def listen():
            with app.connection_for_read() as connection:
                receiver = app.events.Receiver(connection, handlers={"*": self.seen.append})
                receiver.on_consume_ready = lambda *args, **options: listening.set()
                receiver.capture(limit=None, timeout=None, wakeup=False)

        threading.Thread(target=listen, daemon=True).start()
        assert listening.wait(20)

    def of(self, result, until=None):
        """A task's events, once there is one of that type."""
        for _ in range(200):
            events = [event for event in self.seen if event.get("uuid") == result.id]
            if until is None or any(event["type"] == until for event in events):
                break
            time.sleep(0.05)
        return [{name: event[name] for name in SHOWN if name in event} for event in events]


def eventually(result, state):
    for _ in range(200):
        if result.state == state:
            break
        time.sleep(0.05)
    return [result.state, result.info]


def learn(app, queue, chords):
    monitor = Monitor(app)

    def call(name, **options):
        return app.send_task("options." + name, queue=queue, **options)

    def request(task_id, *args, **options):
        return signature("options.request", args, {"k": 3}, queue=queue, task_id=f"{queue}-{task_id}", **options)

    started, progress = call("started"), call("progress")
    begun, made = eventually(started, "STARTED"), eventually(progress, "PROGRESS")
    kept, ignored, annotated = call("ignored_failure"), call("ignored"), call("annotated")
    quiet, long, expected = call("quiet"), call("long"), call("expected")

    told = request("told")
    told.stamp(customer="a")
    callback = signature("tasks.add", (1,), queue="nobody", task_id=f"{queue}-callback")
    told = told.apply_async(
        headers={"tenant": "a"}, expires=600, countdown=0.1, priority=3, time_limit=60, soft_time_limit=50, shadow="shown",
        ignore_result=False, link=callback, link_error=callback,
    )
    second = chain(request("first", 1), request("second").set(immutable=True), request("third").set(immutable=True))
    second = second.apply_async().parent
    joined = None
    if chords:
        header = group(request(f"member-{n}", n) for n in range(2))
        joined = chord(header, request("body").set(immutable=True)).apply_async()

    parent = call("parent", priority=4)
    own, root, *children, count = parent.get(timeout=20)
    by_name, by_task = [app.AsyncResult(child).get(timeout=20) for child in children]
    return {
        "states": {
            "started": begun[0], "pid": sorted(begun[1]), "progress": made, "kept": repr(eventually(kept, "FAILURE")),
            "ignored": ignored.state, "annotated": annotated.state,
        },
        "requests": {
            "told": told.get(timeout=20), "second": second.get(timeout=20),
            "member": joined.parent.results[1].get(timeout=20) if joined else None,
            "body": joined.get(timeout=20) if joined else None,
        },
        "child": {
            "root": [seen["root_id"] == root for seen in (by_name, by_task)],
            "parent": [seen["parent_id"] == own for seen in (by_name, by_task)],
            "priority": [seen["delivery_info"]["priority"] for seen in (by_name, by_task)],
            "children": count, "stored": [child.id for child in parent.children] == children,
        },
        "trail_off": [(trailing := call("trail_off")).get(timeout=20), len(trailing.children)],
        "events": {
            "long": [long.get(timeout=20), monitor.of(long, "task-succeeded")],
            "quiet": [quiet.get(timeout=20), monitor.of(quiet)],
            "progress": [progress.get(timeout=20), monitor.of(progress, "task-succeeded")],
            "expected": [repr(eventually(expected, "FAILURE")), monitor.of(expected, "task-failed")],
        },
    }
