"""What Celery's client sends for a canvas: all messages of its `apply_async`, ids told by their first appearance.

A shape is a canvas as data, which both languages compose: `{"task": [1]}` is `step.s(1)`, `{"chain": [...]}`,
`{"group": [...]}`, `{"chord": [...], "body": ...}`, `{"pipe": [a, b]}` is `a | b`, `{"map": [...]}`, `{"starmap": [...]}`,
`{"chunks": [...], "n": 2}`. More keys change it, in this order: `kwargs`, `immutable`, `set`, `link`, `on_error`, `stamp`, `clone`;
`apply` and `options` are arguments of its `apply_async`.
"""
import json
import re
from functools import reduce
from operator import or_

import kombu
from celery import chain, chord, group


def t(*args, **more):
    return {"task": list(args), **more}


def ch(*parts, **more):
    return {"chain": list(parts), **more}


def gr(*parts, **more):
    return {"group": list(parts), **more}


def cd(header, body, **more):
    return {"chord": header, "body": body, **more}


def pipe(*parts, **more):
    return {"pipe": list(parts), **more}


NAMES = "abcdefghij"
a, b, c, d, e, f, g = (t(name) for name in NAMES[:7])
ERR, LINK = t("err"), t("link")

SHAPES = {
    "task": a,
    "task with keywords": t(1, kwargs={"y": 2}),
    "task applied with arguments": t(1, apply=[2]),
    "immutable task applied with arguments": t(1, immutable=True, apply=[2]),
    "task with a queue": t(1, set={"queue": "q"}),
    "task with a priority": t(1, set={"priority": 5}),
    "task with a countdown": t(1, set={"countdown": 10}),
    "task that expires": t(1, set={"expires": 60}),
    "task with limits": t(1, set={"time_limit": 20, "soft_time_limit": 10}),
    "task that ignores its result": t(1, set={"ignore_result": True}),
    "task with a link": t(1, link=LINK),
    "task with two links": t(1, link=ch(LINK, b)),
    "task with an errback": t(1, on_error=ERR),
    "task with both": t(1, link=LINK, on_error=ERR),
    "task with a group as link": t(1, link=gr(b, c)),
    "task with stamps": t(1, stamp={"tenant": "x"}),
    "task with a link and stamps": t(1, link=LINK, on_error=ERR, stamp={"tenant": "x"}),
    "clone of a task": t(1, set={"queue": "q"}, link=LINK, clone=True),
    "chain of one": ch(a),
    "chain": ch(a, b, c),
    "chain by pipes": pipe(a, b, c),
    "chain applied with arguments": ch(a, b, apply=[9]),
    "chain within a chain": ch(a, ch(b, c), d),
    "chain at the beginning of a chain": ch(ch(a, b), c),
    "chain with immutable members": ch(a, t("b", immutable=True), c),
    "chain with keywords": ch(t(1, kwargs={"k": 1}), t(2, kwargs={"k": 2})),
    "chain with a queue": ch(a, b, set={"queue": "q"}),
    "chain with a priority": ch(a, b, set={"priority": 3}),
    "chain whose members have queues": ch(t("a", set={"queue": "q1"}), t("b", set={"queue": "q2"})),
    "chain applied with a queue": ch(a, b, options={"queue": "q"}),
    "chain with a link": ch(a, b, link=LINK),
    "chain with an errback": ch(a, b, on_error=ERR),
    "chain whose first has an errback": ch(t("a", on_error=ERR), b),
    "chain whose middle member has a link": ch(a, t("b", link=LINK), c),
    "chain whose last has a link": ch(a, t("b", link=LINK)),
    "chain with stamps": ch(a, b, stamp={"tenant": "x"}),
    "group": gr(a, b, c),
    "group of one": gr(a),
    "empty group": gr(),
    "group applied with arguments": gr(a, b, apply=[9]),
    "group with a queue": gr(a, b, set={"queue": "q"}),
    "group with a link": gr(a, b, link=LINK),
    "group with an errback": gr(a, b, on_error=ERR),
    "group with stamps": gr(a, b, stamp={"tenant": "x"}),
    "group of chains": gr(ch(a, b), ch(c, d)),
    "group within a group": gr(a, gr(b, c), d),
    "group that ends a chain": ch(a, gr(b, c)),
    "group that begins a chain": ch(gr(a, b), c),
    "group in the middle of a chain": ch(a, gr(b, c), d),
    "group in the middle of a chain, two tasks behind it": ch(a, gr(b, c), d, e),
    "group of one in a chain": ch(gr(a), b),
    "group of one that ends a chain": ch(a, gr(b)),
    "group behind a group": ch(gr(a, b), gr(c, d)),
    "groups and tasks by turns": ch(gr(a, b), c, gr(d, e), f),
    "group piped into a task": pipe(gr(a, b), c),
    "group piped into a chain": pipe(gr(a, b), ch(c, d)),
    "chain with a group piped into a task": pipe(ch(a, gr(b, c)), d),
    "chord": cd([a, b], c),
    "chord of one": cd([a], b),
    "chord of none": cd([], a),
    "chord with a group as header": cd(gr(a, b), c),
    "chord applied with arguments": cd([a, b], c, apply=[9]),
    "chord with an immutable body": cd([a, b], t("c", immutable=True)),
    "chord with a queue": cd([a, b], c, set={"queue": "q"}),
    "chord with a link": cd([a, b], c, link=LINK),
    "chord with an errback": cd([a, b], c, on_error=ERR),
    "chord whose body has an errback": cd([a, b], t("c", on_error=ERR)),
    "chord with stamps": cd([a, b], c, stamp={"tenant": "x"}),
    "chord with a chain as body": cd([a, b], ch(c, d)),
    "chord with a group as body": cd([a, b], gr(c, d)),
    "chord with a chord as body": cd([a, b], cd([c, d], e)),
    "chord with chains in its header": cd([ch(a, b), ch(c, d)], e),
    "chord with a group in its header": cd([gr(a, b), c], d),
    "chord with a chain that ends in a group in its header": cd([ch(a, gr(b, c)), d], e),
    "chord with a chord in its header": cd([cd([a, b], c), d], e),
    "chord that begins a chain": ch(cd([a, b], c), d),
    "chord that ends a chain": ch(a, cd([b, c], d)),
    "chord in the middle of a chain": ch(a, cd([b, c], d), e),
    "chord piped into a task": pipe(cd([a, b], c), d),
    "chord in a group in a chain": ch(a, gr(cd([b, c], d), e), f),
    "map": {"map": [1, 2]},
    "starmap": {"starmap": [[1, 2], [3, 4]]},
    "chunks": {"chunks": [[1, 2], [3, 4], [5, 6]], "n": 2},
    "map in a group": gr({"map": [1, 2]}, {"starmap": [[3, 4]]}),
    "chunks that leave a rest": {"chunks": [[n, n] for n in range(7)], "n": 3},
    "map with a queue": {"map": [1, 2], "set": {"queue": "q"}},
}


def composed(step, shape):
    inner = lambda part: composed(step, part)  # noqa: E731
    if "task" in shape:
        sig = step.signature(tuple(shape["task"]), shape.get("kwargs"), immutable=shape.get("immutable", False))
    elif "chain" in shape:
        sig = chain(*map(inner, shape["chain"]))
    elif "group" in shape:
        sig = group(list(map(inner, shape["group"])))
    elif "pipe" in shape:
        sig = reduce(or_, map(inner, shape["pipe"]))
    elif "chord" in shape:
        header = shape["chord"]
        sig = chord(list(map(inner, header)) if isinstance(header, list) else inner(header), inner(shape["body"]))
    elif "chunks" in shape:
        sig = step.chunks(shape["chunks"], shape["n"])
    else:
        [(kind, items)] = [(kind, shape[kind]) for kind in ("map", "starmap") if kind in shape]
        sig = getattr(step, kind)(items)
    if "set" in shape:
        sig.set(**shape["set"])
    if "link" in shape:
        sig.link(inner(shape["link"]))
    if "on_error" in shape:
        sig.on_error(inner(shape["on_error"]))
    if "stamp" in shape:
        sig.stamp(**shape["stamp"])
    return sig.clone() if shape.get("clone") else sig


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")


def told(messages):
    """Messages with ids by number and times left out, whatever the order of keys."""
    ids = {}
    text = json.dumps(messages, sort_keys=True)
    text = UUID.sub(lambda found: ids.setdefault(found[0], f"id-{len(ids) + 1}"), text)
    # Arguments that are a tuple here are a list for everybody else.
    return json.loads(TIME.sub("TIME", text).replace("'args': ()", "'args': []"))


def sent_canvases(step):
    for name, shape in SHAPES.items():
        sent = []

        def publish(self, body, routing_key=None, headers=None, priority=None, correlation_id=None, reply_to=None, **_):
            headers = {key: value for key, value in headers.items() if key != "origin"}
            sent.append({"body": json.loads(kombu.utils.json.dumps(body)), "headers": headers, "routingKey": routing_key,
                         "priority": priority or 0, "correlationId": correlation_id, "replyTo": reply_to})

        original, kombu.Producer.publish = kombu.Producer.publish, publish
        try:
            composed(step, shape).apply_async(tuple(shape.get("apply", ())), **shape.get("options", {}))
        finally:
            kombu.Producer.publish = original
        yield {"name": name, "shape": shape, "sent": told(sent)}
