"""Python Celery as a contestant: answers lines as contestant.ts's programs do, and is the worker's app."""
import json
import os
import sys
import time

from celery import Celery

app = Celery("bench", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.update(
    task_default_queue=os.environ["CELERIAC_TASK_QUEUE"],
    broker_connection_retry_on_startup=True,
    # Left to its default, Celery does not know whether RabbitMQ has a message.
    broker_transport_options={"confirm_publish": os.environ.get("CONFIRM", "1") == "1"}
    if os.environ["CELERY_BROKER_URL"].startswith("amqp") else {},
)


@app.task(name="bench.add")
def add(x, y):
    return x + y


def publish(count):
    start = time.perf_counter()
    for n in range(int(count)):
        add.delay(n, n)
    return {"seconds": time.perf_counter() - start}


def round_trip(count):
    milliseconds = []
    for n in range(int(count)):
        start = time.perf_counter()
        add.delay(n, n).get(timeout=10)
        milliseconds.append((time.perf_counter() - start) * 1000)
    return {"milliseconds": milliseconds}


if __name__ == "__main__":
    deeds = {"publish": publish, "roundTrip": round_trip}
    for line in sys.stdin:
        name, *words = line.split()
        print(json.dumps(deeds[name](*words)), flush=True)
