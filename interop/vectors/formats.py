"""Values in the serializers that are not JSON, for capture.py: each with the repr of what it is read as."""
import base64
import collections
import os
import pickle
import uuid
import zoneinfo
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import kombu.compression
import yaml
from celery import chain, signature
from celery.backends.base import compress_payload
from celery.exceptions import Reject, TaskRevokedError
from celery.utils.serialization import UnpickleableExceptionWrapper

NOW = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=timezone.utc)
OFFSET = timezone(timedelta(hours=-3, minutes=-30))
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
UUID = uuid.UUID("d0f4a1b2-0000-4000-8000-000000000009")


def text(payload):
    return base64.b64encode(payload).decode()


def fixed(moment):
    """The same moment with a plain offset: zones have no other form on the other side."""
    return moment.replace(tzinfo=timezone(moment.utcoffset()), fold=0)


def pickled():
    """Every kind of value that is read, and what it is read as where that is not itself."""
    shared = [1]
    values = [
        None, True, False, 0, 1, 255, 256, 65535, 65536, -1, -(2**31), 2**31, 2**53 + 1, -(2**63), 2**70, -(2**70), 2**2100,
        1.0, -0.0, 0.1, 1e300, float("inf"), float("-inf"), float("nan"),
        "", "abc", "grüße 日本 😀", "\ud800", "back\\slash \\u1234 \\\\ \n\r\0\x1a", "x" * 300, b"", b"\x00\xff", b"y" * 300,
        (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, [2, [3]]], {}, {"a": 1, "__proto__": {"polluted": True}},
        {1: "a", None: 2}, {(1, 2): 3}, set(), {1}, frozenset(), frozenset(["a"]), list(range(1100)), {str(n): n for n in range(1100)},
        NOW, datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), NOW.replace(tzinfo=OFFSET), date(2031, 5, 6), time(7, 8, 9, 10),
        time(7, 8, tzinfo=OFFSET), timedelta(), timedelta(days=-1, seconds=5, microseconds=3), Decimal("1.10"), Decimal("-1E+3"), Decimal("NaN"),
        UUID, [UUID, UUID], {UUID: 1}, collections.OrderedDict(), collections.OrderedDict([("b", 1), ("a", [2])]),
        ValueError("bad", 1), KeyError("k"), OSError(2, "no such file"), UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
        TaskRevokedError("terminated"), [shared, shared, {"again": shared}], ((1, {"x": 2}), {}, {"callbacks": None}),
    ]
    for value in values:
        yield value, value
    yield bytearray(b"ab"), b"ab"
    yield Reject("no", requeue=True), None
    yield UnpickleableExceptionWrapper("shop.errors", "OutOfStock", ("apple",)), None
    yield signature("tasks.add", (1, 2), queue="q"), dict(signature("tasks.add", (1, 2), queue="q"))
    yield chain(signature("a"), signature("b")), None
    for moment in [
        datetime(2031, 7, 6, 7, 8, 9, tzinfo=BERLIN), datetime(2031, 10, 26, 2, 30, tzinfo=BERLIN),
        datetime(2031, 3, 30, 2, 30, tzinfo=BERLIN), datetime(2031, 7, 6, tzinfo=zoneinfo.ZoneInfo("UTC")),
    ]:
        yield moment, fixed(moment)
    late = datetime(2031, 10, 26, 2, 30, fold=1, tzinfo=BERLIN)
    yield late, fixed(late)


READ_AS = {
    "Reject": "Reject('no', True)",
    "UnpickleableExceptionWrapper": "OutOfStock('apple')",
    "_chain": repr(
        {"task": "celery.chain", "args": (), "kwargs": {"tasks": [dict(signature("a")), dict(signature("b"))]},
         "options": {}, "subtask_type": "chain", "immutable": False}),
}


def pickle_values():
    for value, read in pickled():
        for protocol in range(6):
            if len(repr(value)) > 2000 and protocol not in (0, 4):
                continue
            # Python 2 has no FileNotFoundError: it would be an OSError.
            if protocol < 3 and isinstance(value, OSError):
                continue
            # Up to protocol 3 the two moments that a clock shows alike are the same.
            if protocol < 4 and getattr(value, "fold", 0):
                continue
            expected = READ_AS.get(type(value).__name__, repr(read))
            yield {"repr": expected, "protocol": protocol, "bytes": text(pickle.dumps(value, protocol))}


class Calls:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class Coffee:
    size = 1


class Sold(Exception):
    pass


def pickle_refused():
    """What Python would run or import, with the name that the error has to tell."""
    values = {
        "posix.system": Calls(os.system, ("echo pickled",)),
        "builtins.eval": Calls(eval, ("1",)),
        "builtins.getattr": Calls(getattr, ("", "format")),
        "formats.Coffee": Coffee(),
        "formats.Sold": Sold("apple"),
        "collections.defaultdict": collections.defaultdict(list),
        "collections.deque": collections.deque([1]),
        "builtins.complex": 1j,
        "range": range(3),
        "builtins.ValueError": ValueError,
        "datetime.tzinfo": [timezone.utc],
    }
    for name, value in values.items():
        for protocol in range(6):
            yield {"name": name, "protocol": protocol, "bytes": text(pickle.dumps(value, protocol))}


def yaml_values():
    shared = [1]
    strings = [
        "yes", "no", "on", "1", "0x1", "1:30", "2031-05-06", "=", "<<", "~", "null", "", "a: b", "- a", "# c", "{", "[", '"', "'", "\\", "a\nb",
        "\t", "grüße 日本 😀", "\x00\x07", "\u2028", "x" * 2000, " lead", "trail ", "%a", "@a", "!a", "&a", "*a", "|", ">", "?", "-", ":", ",",
        ".inf", "1e3", "1.0",
    ]
    values = [
        None, True, False, 0, -1, 2**70, 1.5, 1.0, -0.0, 1e16, 1e22, 1e-7, float("inf"), float("-inf"), float("nan"), b"", b"\x00\xff", b"y" * 300,
        [], [1, [2]], {}, {"__proto__": {"polluted": True}, "a": 1}, {1: "a"}, {None: 2}, set(), {"a"}, NOW, datetime(2031, 5, 6),
        NOW.replace(tzinfo=OFFSET), date(2031, 5, 6), [shared, shared, {"again": shared}], [[1, 2], {}, {"callbacks": None, "chain": [{"task": "t"}]}],
        {"x" * 2000: 1},
    ]
    for value in values + strings + [strings] + [{string: 1} for string in strings]:
        yield {"repr": repr(value), "text": yaml.safe_dump(value)}


def yaml_texts():
    """Texts that people write, and the reading of each; an empty repr where PyYAML refuses."""
    texts = [
        "? [1,2]\n: 3", "<<: {a: 1}\nb: 2\na: 3", "=: 4", "- =", "- <<", "!foo bar", "- yes\n- 'yes'\n- !!str yes\n- on\n- y\n- No\n- TRUE\n- tRUE",
        "!!python/name:os.system ''", "!!python/object/apply:os.system ['true']", "!!python/tuple [1]", "! 12", "! '12'", "a: b: c", "[1, 2",
        "--- 1\n--- 2", "", "a: 1\na: 2", "!!set {a}", "!!omap [a: 1, b: 2]", "!!pairs [a: 1, a: 2]", "!!omap {a: 1}", "!!omap [a]",
        "- 0\n- 010\n- 0x1F\n- 0b101\n- 1_000\n- 1:30\n- 190:20:30\n- 190:20:30.15\n- 0o7\n- 08\n- +12\n- -0x10\n- 0.\n- .5\n- 1e3\n- 1.0e3\n- 1.0e+3",
        "- -.inf\n- .NaN\n- 12345678901234567890\n- 1_0.5_0\n- -1:30\n- +.inf\n- 0xZZ\n- _1\n- 1_\n- 0_7", "- 0b_", "- 0x_",
        "- 2031-05-06\n- 2031-05-06 07:08:09\n- 2031-05-06T07:08:09.5Z\n- 2031-5-6 7:08:09 -5\n- 2031-5-6", "- 2031-13-06", "2031-02-30",
        "- 2031-05-06 07:08:09.123456789+05:30\n- 2001-12-14t21:59:43.10-05:00", "2031-05-06 07:08:09 +25:00", "2031-05-06 25:00:00",
        "- ~\n- null\n- Null\n- nULL\n- \n- ''", "a: *x", "- &a 1\n- &a 2", "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*b, {y: 3, z: 4}]}",
        "<<: 1", "<<: [1]", "!!int abc", "!!int '12'", "!!float 1", "!!float x", "!!bool y", "!!bool 'YES'", "!!null x", "!!str [a]", "!!map [a]",
        "!!seq {a: 1}", "!!timestamp x", "!!timestamp '2031-05-06'", "!!binary é", "!!value x", "!!merge x", "{[1]: 2}", "{{a: 1}: 2}", "[[1]: 2]",
        "'it''s'", '"\\x41\\u00e9\\U0001F600\\n\\/\\_\\N"', '"a\\\n  b"', ">\n a\n b\n\n c\n", "|+\n a\n\n", "|-\n a\n", "|2\n   a\n", '"\\q"',
        "%YAML 1.1\n---\na", "%TAG ! tag:yaml.org,2002:\n---\n!int 12", "!<tag:yaml.org,2002:int> 12", "# c\na: 1 # d\n", "{a, b: }", "[a: b, c]",
        '"abc', "@x", "`x", "a:\n\t- b", "? |\n  x\n: - y", "\ufeffa: 1", "- - - 1", "a: |\n  x\n  y\nb: 1", "- 'a\n  b'", "- a\n  b", "a: 'x' y",
        "a: 1\n...\n# c", "123: {4: 5}", "-", "- -1", "x: -", "url: http://x/y", "t: 12:30:45", "v: 1.2.3", '{"a": [1, 2.0, "x", null, true]}',
    ]
    for given in texts:
        try:
            read = repr(yaml.safe_load(given))
        except Exception:
            read = ""
        yield {"text": given, "repr": read}


def compressed():
    """One text in each of kombu's methods."""
    given = "grüße, " * 50 + "".join(chr(33 + n % 90) for n in range(700))
    for method in ("gzip", "zlib", "bzip2", "bzip", "lzma", "xz", "brotli", "zstd", "zstandard"):
        payload, content_type = kombu.compression.compress(given, method)
        yield {"method": method, "contentType": content_type, "text": given, "bytes": text(payload)}


def compressed_results():
    """A stored result by `result_compression`, and one without."""
    record = '{"status": "SUCCESS", "result": 5, "traceback": null, "children": [], "task_id": "x"}'
    yield {"method": "none", "record": record, "payload": text(record.encode())}
    for method in ("gzip", "bzip2", "lzma", "brotli", "zstd"):
        yield {"method": method, "record": record, "payload": text(compress_payload(record, method))}


def bombs():
    """A gigabyte of zeros in little space."""
    for method in ("bzip2", "brotli", "zstd"):
        payload, _ = kombu.compression.compress(bytes(1 << 30), method)
        yield {"method": method, "bytes": text(payload)}
    # Those that cannot say it as shortly say less.
    for method in ("gzip", "lzma"):
        payload, _ = kombu.compression.compress(bytes(1 << 26), method)
        yield {"method": method, "bytes": text(payload)}
