"""What kombu declares for native delayed delivery, and the keys that it sends by."""
from kombu import Exchange, Queue
from kombu.transport import native_delayed_delivery as delayed


class Channel:
    """Writes down what is declared and bound on it."""

    def __init__(self):
        self.calls = []

    def prepare_queue_arguments(self, arguments, **kwargs):
        return arguments

    def exchange_declare(self, exchange, type, durable, auto_delete, **kwargs):
        self.calls.append(["exchange", exchange, type, durable, auto_delete])

    def queue_declare(self, queue, durable, exclusive, auto_delete, arguments, **kwargs):
        self.calls.append(["queue", queue, durable, exclusive, auto_delete, arguments])
        return queue, 0, 0

    def exchange_bind(self, destination, source, routing_key, **kwargs):
        self.calls.append(["exchange binding", source, destination, routing_key])

    def queue_bind(self, queue, exchange, routing_key, **kwargs):
        self.calls.append(["queue binding", queue, exchange, routing_key])


class Connection:
    def __init__(self):
        self.recorder = Channel()

    def channel(self):
        return self.recorder


def delayed_delivery():
    for queue_type in ("classic", "quorum"):
        connection = Connection()
        delayed.declare_native_delayed_delivery_exchanges_and_queues(connection, queue_type)
        calls = connection.recorder.calls
        yield {"name": f"chain of {queue_type} queues", "calls": sorted(map(list, {repr(c): c for c in calls}.values()), key=repr)}
    for name, queue in {
        "topic": Queue("a", Exchange("b", type="topic"), routing_key="c"),
        "pattern": Queue("a", Exchange("b", type="topic"), routing_key="#.c"),
        "direct": Queue("a", Exchange("b", type="direct"), routing_key="c"),
    }.items():
        connection = Connection()
        delayed.bind_queue_to_native_delayed_delivery_exchange(connection, queue)
        yield {"name": f"binding of {name}", "calls": [call for call in connection.recorder.calls if call[0].endswith("binding")]}
    for seconds in (1, 2, 3, 1000, 2**28 - 1):
        yield {"name": f"key of {seconds}", "seconds": seconds, "key": delayed.calculate_routing_key(seconds, "celery")}
    again = delayed.calculate_routing_key(5, delayed.calculate_routing_key(9, "celery"))
    yield {"name": "key of a retry", "seconds": 5, "key": again}
