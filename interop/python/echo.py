"""Reads values by kombu's serializers, keeps them, writes them again, and says what they are to the type.

For `client.py`: `from echo import *`.
"""
import base64
import json
import struct
from collections import OrderedDict

from kombu import serialization

serialization.enable_insecure_serializers(["pickle", "yaml", "msgpack"])
kept = {}


def described(value):
    """A value in JSON, its type and all: two that look alike are the same."""
    if value is None or isinstance(value, bool):
        return [repr(value)]
    if type(value) is int:
        return ["int", str(value)]
    if type(value) is float:
        return ["float", "nan" if value != value else struct.pack(">d", value).hex()]
    if type(value) is str:
        return ["str", value.encode("utf-16-le", "surrogatepass").hex()]
    if type(value) is bytes:
        return ["bytes", value.hex()]
    if type(value) in (list, tuple):
        return [type(value).__name__, [described(item) for item in value]]
    if type(value) in (set, frozenset):
        return [type(value).__name__, ordered(described(item) for item in value)]
    if type(value) is OrderedDict:
        return ["OrderedDict", [[described(key), described(item)] for key, item in value.items()]]
    if type(value) is dict:
        return ["dict", ordered([described(key), described(item)] for key, item in value.items())]
    return ["repr", repr(value)]


def text(description):
    return json.dumps(description, separators=(",", ":"), ensure_ascii=False)


def ordered(descriptions):
    return sorted(descriptions, key=text)


def read(name, payload):
    content_type, encoding = types(name)
    return serialization.loads(base64.b64decode(payload), content_type, encoding, accept=[content_type])


def types(name):
    encoder = serialization.registry._encoders[name]
    return encoder.content_type, encoder.content_encoding


def attempt(run, *args):
    try:
        return run(*args)
    except Exception as exc:
        return {"error": repr(exc)}


def echo(name, batch, payloads):
    """What each payload holds, and how Python writes it."""
    kept[name, batch] = values = [attempt(read, name, payload) for payload in payloads]
    return [attempt(answer, name, value) for value in values]


def answer(name, value):
    _, _, payload = serialization.dumps(value, serializer=name)
    payload = payload.encode() if isinstance(payload, str) else payload
    return {"value": text(described(value)), "payload": base64.b64encode(payload).decode()}


def same(name, batch, payloads):
    """What differs between each payload and the value that was read before; null for nothing."""
    return [attempt(difference, name, value, payload) for value, payload in zip(kept.pop((name, batch)), payloads)]


def difference(name, value, payload):
    one, other = text(described(value)), text(described(read(name, payload)))
    return None if one == other else {"error": f"{other} is not {one}"}
