"""What Python calls in the demo; prints one JSON line a call."""
import json
import time

from celery import chain
from python_tasks import add, app

TYPESCRIPT = {"queue": "typescript"}


def call(title, send, ran_on="TypeScript"):
    start = time.perf_counter()
    try:
        back = repr(send().get(timeout=15, interval=0.02))
    except Exception as exc:
        back = f"{type(exc).__name__}: {exc}"
    took = (time.perf_counter() - start) * 1000
    print(json.dumps({"title": title, "from": "Python", "ranOn": ran_on, "back": back, "ms": took}), flush=True)


def multiply(*args):
    return app.signature("typescript.multiply", args=args, **TYPESCRIPT)


call("typescript.multiply(6, 7)", lambda: multiply(6, 7).delay())
call("typescript.greet(name='Ada')", lambda: app.send_task("typescript.greet", kwargs={"name": "Ada"}, **TYPESCRIPT))
call("typescript.refuse()", lambda: app.send_task("typescript.refuse", **TYPESCRIPT))
call(
    "add(1, 2) | multiply(10) | add(5)",
    lambda: chain(add.s(1, 2), multiply(10), add.s(5).set(queue="python"))(),
    "Python, TypeScript, Python",
)
