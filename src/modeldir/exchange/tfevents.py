"""TensorBoard's event files: records of protocol buffers, written and read without TensorFlow.

It knows the frame of a record (length, checksums), the few messages that hold scalars and
hyperparameters, and that a writer may have been killed in the middle of one. It refuses to know
experiments. Images, graphs and histograms are passed over.

The layout is that of `tensorboard/compat/proto/event.proto`, `summary.proto` and
`plugins/hparams/plugin_data.proto`; what was written in 2015 is read today, so it stands still.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

EXPERIMENT = "_hparams_/experiment"
SESSION_START = "_hparams_/session_start_info"
SESSION_END = "_hparams_/session_end_info"

UNKNOWN, SUCCESS, FAILURE, RUNNING = 0, 1, 2, 3
"""How a session of the HParams plugin ended."""

OURS = "events.out.tfevents.0.modeldir"
"""What our export calls its files: TensorBoard takes every one with `tfevents` in its name."""

BEST, LAST = "best", "last"
"""Before the names of the metrics that count, beside the series of the same names: `best/loss`."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FLOAT, _DOUBLE, _INT32, _INT64, _HALF = 1, 2, 3, 9, 19  # tensor types that a scalar may have
_HEAD, _FOOT = 12, 4
_NUMBER, _TEXT, _TRUTH = 2, 3, 4  # the fields of google.protobuf.Value

Fields: TypeAlias = "dict[int, list[Any]]"
Simple: TypeAlias = "bool | float | str"
"""What HParams has for a hyperparameter."""


@dataclass(frozen=True)
class Event:
    """What one record says: scalars by tag, and what plugins keep with a tag."""

    time: float
    step: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    plugins: Mapping[str, bytes] = field(default_factory=dict)


# -- Records ---------------------------------------------------------------------------------------


@cache
def _table() -> tuple[int, ...]:
    """CRC-32C (Castagnoli), a byte at a time."""
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        found.append(value)
    return tuple(found)


def _checksum(data: bytes) -> int:
    """Masked, as TFRecord has it: a checksum of data that holds checksums is a weak one."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """A message in its frame."""
    length = struct.pack("<Q", len(data))
    head, foot = struct.pack("<I", _checksum(length)), struct.pack("<I", _checksum(data))
    return length + head + data + foot


def records(data: bytes) -> Iterator[bytes]:
    """The messages of a file. It ends at the first record that is torn or broken.

    The checksum of the length is looked at, which finds the end of what can be read; that of the
    data is not: in Python it would take longer than all else.
    """
    place = 0
    while place + _HEAD <= len(data):
        length, check = struct.unpack_from("<QI", data, place)
        end = place + _HEAD + length
        if end + _FOOT > len(data) or check != _checksum(data[place : place + 8]):
            return
        yield data[place + _HEAD : end]
        place = end + _FOOT


# -- Protocol buffers ------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number takes all ten bytes
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def whole(number: int, value: int) -> bytes:
    """A field that is a whole number."""
    return _varint(number << 3 | _VARINT) + _varint(value)


def double(number: int, value: float) -> bytes:
    """A field that is a float of 64 bits."""
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def single(number: int, value: float) -> bytes:
    """A field that is a float of 32 bits; what is too large for one is infinite."""
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", _single(value))


def nested(number: int, data: bytes | str) -> bytes:
    """A field that is a message, or a text."""
    data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _fields(data: bytes) -> Fields:
    """The fields of a message by number. What breaks off is left out."""
    found: Fields = {}
    place = 0
    try:
        while place < len(data):
            key, place = _read_varint(data, place)
            value, place = _read_value(data, place, key & 7)
            found.setdefault(key >> 3, []).append(value)
    except (IndexError, struct.error):
        pass
    return found


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last of them
            return value, place
        shift += 7


def _read_value(data: bytes, place: int, kind: int) -> tuple[Any, int]:
    if kind == _VARINT:
        return _read_varint(data, place)
    if kind == _FIXED64:
        return struct.unpack_from("<d", data, place)[0], place + 8
    if kind == _FIXED32:
        return struct.unpack_from("<f", data, place)[0], place + 4
    if kind != _BYTES:
        raise IndexError
    length, place = _read_varint(data, place)
    if place + length > len(data):
        raise IndexError
    return data[place : place + length], place + length


def _first(fields: Fields, number: int, otherwise: Any) -> Any:
    """A field's value, where it is of the kind that is expected there."""
    value = fields.get(number, [otherwise])[-1]
    return value if isinstance(value, type(otherwise)) else otherwise


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# -- Events ----------------------------------------------------------------------------------------


def header(time: float) -> bytes:
    """The record that a file begins with."""
    return record(double(1, time) + nested(3, "brain.Event:2"))


def scalars(time: float, step: int, values: Mapping[str, float]) -> bytes:
    """The record of a step."""
    summary = b"".join(
        nested(1, nested(1, tag) + single(2, value)) for tag, value in values.items()
    )
    return record(double(1, time) + whole(2, step) + nested(5, summary))


def plugin(time: float, tag: str, content: bytes) -> bytes:
    """The record of something that the HParams plugin keeps."""
    metadata = nested(1, nested(1, "hparams") + nested(2, content))
    return record(double(1, time) + nested(5, nested(1, nested(1, tag) + nested(9, metadata))))


def events(data: bytes) -> Iterator[Event]:
    """What the records of a file say, in their order."""
    for message in records(data):
        fields = _fields(message)
        scalars: dict[str, float] = {}
        plugins: dict[str, bytes] = {}
        for summary in _messages(fields, 5):
            for value in _messages(_fields(summary), 1):
                _take(_fields(value), scalars, plugins)
        if scalars or plugins:
            step = _signed(_first(fields, 2, 0))
            yield Event(float(_first(fields, 1, 0.0)), step, scalars, plugins)


def _messages(fields: Fields, number: int) -> Iterable[bytes]:
    return (each for each in fields.get(number, ()) if isinstance(each, bytes))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _take(value: Fields, scalars: dict[str, float], plugins: dict[str, bytes]) -> None:
    """One value of a summary: a scalar, or what a plugin keeps in its metadata."""
    tag, tensor = _text(_first(value, 1, b"")), _first(value, 8, b"")
    kept = _fields(_first(_fields(_first(value, 9, b"")), 1, b""))
    if isinstance(number := value.get(2, [None])[-1], float):
        scalars[tag] = _shortest(number)
    elif _first(kept, 1, b"") == b"scalars" and tensor:
        number = _of_tensor(_fields(tensor))
        if number is not None:
            scalars[tag] = number
    elif tag.startswith("_hparams_/"):
        plugins[tag] = _first(kept, 2, b"")


def _shortest(number: float) -> float:
    """The shortest decimal that is the same float of 32 bits: 0.69, not 0.6899999976158142."""
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        if short == number or (math.isfinite(short) and _single(short) == number):
            return short
    return number


def _single(number: float) -> float:
    """A number as a float of 32 bits has it."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _of_tensor(tensor: Fields) -> float | None:
    """The number of a tensor that holds one."""
    kind = _first(tensor, 1, 0)
    packed = _first(tensor, 4, b"")
    forms = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q", _HALF: "<e"}
    if packed and kind in forms and len(packed) >= struct.calcsize(forms[kind]):
        number = float(struct.unpack_from(forms[kind], packed)[0])
        return _shortest(number) if kind == _FLOAT else number
    place = {_FLOAT: 5, _DOUBLE: 6}.get(kind)
    for value in tensor.get(place, ()) if place else ():
        if isinstance(value, bytes) and len(value) >= struct.calcsize(forms[kind]):  # packed
            value = struct.unpack_from(forms[kind], value)[0]  # noqa: PLW2901 - the same number
        if isinstance(value, float):
            return _shortest(value) if kind == _FLOAT else value
    return None


# -- Hyperparameters -------------------------------------------------------------------------------


def session_start(
    hyperparameters: Mapping[str, Simple], group: str, time: float, uri: str
) -> bytes:
    """What HParams knows of a trial as it begins. Trials of one group are repeats of a point."""
    pairs = (
        nested(1, nested(1, name) + nested(2, _as_value(value)))
        for name, value in hyperparameters.items()
    )
    told = b"".join(pairs) + nested(2, uri) + nested(4, group) + double(5, time)
    return nested(3, told)


def session_end(status: int, time: float) -> bytes:
    """What it knows of its end."""
    return nested(4, whole(1, status) + double(2, time))


def experiment(name: str, kinds: Mapping[str, type], tags: Mapping[str, str]) -> bytes:
    """The columns of HParams: hyperparameters with their kinds; metrics, as tag and header."""
    numbers = {str: 1, bool: 2}
    names = (nested(4, nested(1, n) + whole(4, numbers.get(k, 3))) for n, k in kinds.items())
    shown = (nested(5, nested(1, nested(2, tag)) + nested(3, head)) for tag, head in tags.items())
    return nested(2, b"".join(names) + b"".join(shown) + nested(6, name))


def _as_value(value: Simple) -> bytes:
    """`google.protobuf.Value`."""
    if isinstance(value, bool):
        return whole(_TRUTH, int(value))
    return nested(_TEXT, value) if isinstance(value, str) else double(_NUMBER, value)


def read_session_start(content: bytes) -> dict[str, Simple]:
    """The hyperparameters that HParams keeps of a trial."""
    found: dict[str, Simple] = {}
    for session in _messages(_fields(content), 3):
        for pair in map(_fields, _messages(_fields(session), 1)):
            value = _fields(_first(pair, 2, b""))
            name = _text(_first(pair, 1, b""))
            if _NUMBER in value:
                found[name] = float(_first(value, _NUMBER, 0.0))
            elif _TEXT in value:
                found[name] = _text(_first(value, _TEXT, b""))
            elif _TRUTH in value:
                found[name] = bool(_first(value, _TRUTH, 0))
    return found


def read_session_end(content: bytes) -> int:
    """How it ended: UNKNOWN, SUCCESS, FAILURE, RUNNING."""
    ended = _fields(_first(_fields(content), 4, b""))
    return int(_first(ended, 1, UNKNOWN))
