"""Runs Python that a test sends: one JSON object a line in, one out.

In: {"id": 1, "code": "expression or statements"}; out: {"id": 1, "value": ...} or {"id": 1, "error": {...}}.
Names live on from line to line. Statements give the value of the variable `result`.
"""
import ast
import importlib
import json
import os
import sys
import traceback

from celery import chain, chord, group, signature
from celery.exceptions import TimeoutError
from celery.result import AsyncResult

app = importlib.import_module(os.environ.get("CELERIAC_APP", "tasks")).app

scope = {
    "app": app, "chain": chain, "chord": chord, "group": group, "signature": signature,
    "AsyncResult": AsyncResult, "TimeoutError": TimeoutError,
}


def run(code):
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        scope.pop("result", None)
        exec(code, scope)
        return scope.get("result")
    return eval(compile(tree, "<test>", "eval"), scope)


out = sys.stdout
sys.stdout = sys.stderr
for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = {"value": run(asked["code"])}
    except BaseException as exc:
        answer = {"error": {
            "type": type(exc).__name__, "module": type(exc).__module__, "text": str(exc),
            "args": [repr(arg) for arg in exc.args], "traceback": traceback.format_exc(),
        }}
    out.write(json.dumps({"id": asked["id"], **answer}, default=repr) + "\n")
    out.flush()
