"""pytest plugin: Celery's own integration tests, with a worker that is a process of its own.

Told by the environment:

    OUTSIDE_WORKER      the command, its words as a JSON list; `-n` and the node's name are added; stopped with SIGTERM
    OUTSIDE_FOLDER      where it runs
    OUTSIDE_REPORT      where the outcomes go, as JSON: {test: [outcome, seconds, message]}
    INAPPLICABLE        tests that cannot apply to such a worker: `test | reason` a line
    TEST_BROKER, TEST_BACKEND, REDIS_HOST, REDIS_PORT    as the tests themselves read them

The tests' files stay as they are. What they ask of a worker in their own process is answered from outside, where it
can be: whether a task succeeded, by the worker's events; whether it is idle, by a task that it runs after all others.
"""
import json
import os
import signal
import subprocess
import sys
import threading
import time

import celery.contrib.pytest
import pytest
from celery._state import _set_task_join_will_block
from celery.contrib.testing.manager import ManagerMixin
from celery.utils.nodenames import anon_nodename

#: Seconds that a test may take, and those that take longer with any worker.
LIMIT = 60
SLOW = {
    "test_enabling_flag_allow_error_cb_on_chord_header": 240,
    "test_disabling_flag_allow_error_cb_on_chord_header": 240,
    "test_flag_allow_error_cb_on_chord_header_on_upgraded_chord": 240,
    "test_upgraded_chord_link_error_with_header_errback_enabled": 240,
    "test_nested_chord_header_link_error": 120,
    "test_revoked_by_headers_complex_canvas": 180,
    "test_large_group_pipeline": 120,
}
#: Seconds that the worker has to finish what a test left behind, before another takes its place.
IDLE = 20
#: Seconds that it has to start.
READY = 60

outcomes = {}


class Worker:
    """The worker's process."""

    def __init__(self):
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [*json.loads(os.environ["OUTSIDE_WORKER"]), "-n", anon_nodename()], cwd=os.environ["OUTSIDE_FOLDER"], stdin=subprocess.DEVNULL,
        )

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def restart(self, why):
        print(f"\nconformance: another worker takes over: {why}", file=sys.__stderr__)
        self.stop()
        self.start()


worker = Worker()


class Succeeded:
    """The ids of the tasks that succeeded, as the worker's events tell them."""

    def __init__(self):
        self.ids = set()

    def listen(self, app):
        def receive():
            with app.connection_for_read() as connection:
                handlers = {"task-succeeded": lambda event: self.ids.add(event["uuid"])}
                app.events.Receiver(connection, handlers=handlers).capture(limit=None, timeout=None)

        threading.Thread(target=receive, daemon=True).start()

    def __contains__(self, task_id):
        end = time.monotonic() + 10
        while task_id not in self.ids and time.monotonic() < end:
            time.sleep(0.05)
        return task_id in self.ids


succeeded = Succeeded()


class WorkerState:
    """In the place of `celery.worker.state`, which would be that of a worker in this process."""

    successful_requests = succeeded

    class revoked_stamps:
        @staticmethod
        def clear():
            worker.restart("it shall know no revoked stamps")


def runs_a_task(app, seconds):
    """Whether it runs a task now: the one that is sent last is run last, since it runs one at a time."""
    try:
        app.send_task("celery.ping").get(timeout=seconds)
        return True
    except Exception:
        return False


def answers(app):
    end = time.monotonic() + READY
    while time.monotonic() < end:
        if app.control.ping(timeout=1):
            return True
        if worker.process.poll() is not None:
            return False
    return False


def outside_worker(celery_session_app, celery_includes, celery_class_tasks):
    for module in celery_includes:
        celery_session_app.loader.import_task_module(module)
    for task in celery_class_tasks:
        celery_session_app.register_task(task)
    celery_session_app.control.purge()
    succeeded.listen(celery_session_app)
    worker.start()
    if not answers(celery_session_app):
        pytest.exit("the worker did not start")
    yield worker
    worker.stop()


def wait_until_idle(self):
    while self.app.control.purge():
        pass
    if worker.process.poll() is not None or not runs_a_task(self.app, IDLE):
        worker.restart("it did not get idle")
        self.app.control.purge()
        answers(self.app)


celery.contrib.pytest.celery_session_worker = pytest.fixture(scope="session", name="celery_session_worker")(outside_worker)
ManagerMixin.wait_until_idle = wait_until_idle


def inapplicable():
    with open(os.environ["INAPPLICABLE"]) as file:
        rules = [line.split(" | ", 1) for line in file if " | " in line and not line.startswith("#")]
    return {name.strip(): reason.strip() for name, reason in rules}


def short(nodeid):
    return nodeid.removeprefix("t/integration/")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    rules = inapplicable()
    kept = []
    for item in items:
        name = short(item.nodeid)
        # A failure is a failure: nothing is tried again.
        item.own_markers[:] = [mark for mark in item.own_markers if mark.name not in ("flaky", "timeout")]
        ends = ("", "[", "::")
        reason = next((why for rule, why in rules.items() if any((name + "\0").startswith(rule + (e or "\0")) for e in ends)), None)
        if reason is None:
            kept.append(item)
        else:
            outcomes[name] = ["inapplicable", 0, reason]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    module = sys.modules.get("t.integration.test_tasks")
    if module is not None:
        module.worker_state = WorkerState


def pytest_runtest_setup():
    # A test that makes a Python worker in this process leaves it set.
    _set_task_join_will_block(False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    limit = SLOW.get(item.originalname, LIMIT)

    def too_long(*_):
        signal.setitimer(signal.ITIMER_REAL, 1)  # a subtest may have caught it
        pytest.fail(f"took more than {limit} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, limit)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_runtest_logreport(report):
    if type(report).__name__ == "SubtestReport":
        return
    name = short(report.nodeid)
    before = outcomes.get(name)
    if report.when != "call" and report.outcome == "passed":
        return
    if report.when == "teardown" and before and before[0] == "failed":
        return
    outcome = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xpassed" if outcome == "passed" else "xfailed"
    message = ""
    if outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        message = (crash.message if crash else str(report.longrepr))[:300]
    elif outcome == "skipped" and isinstance(report.longrepr, tuple):
        message = report.longrepr[2]
    outcomes[name] = [outcome, round(report.duration, 2), message]
    write()


def write():
    with open(os.environ["OUTSIDE_REPORT"], "w") as file:
        json.dump(outcomes, file, indent=1)


def pytest_sessionfinish():
    worker.stop()
    write()
