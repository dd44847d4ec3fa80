"""Write and read TensorBoard's event files without TensorFlow.

An event file is a sequence of records, each a protocol buffer message with its length and
checksums, as in TensorBoard's `event.proto`, `summary.proto` and `plugin_data.proto`. A writer may
have been killed, so reading ends at the first incomplete record.
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
"""Tags under which the HParams plugin keeps its messages."""

UNKNOWN, SUCCESS, FAILURE, RUNNING = 0, 1, 2, 3
"""Statuses of a session of the HParams plugin."""

FILE_NAME = "events.out.tfevents.0.modeldir"
"""Name of an exported file. TensorBoard reads every file with `tfevents` in its name."""

BEST, LAST = "best", "last"
"""Prefixes of final metrics, because the curve already has the plain name: `best/loss`."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_FLOAT, _DOUBLE, _INT32, _INT64, _HALF = 1, 2, 3, 9, 19  # types of a tensor with one number
_HEAD, _FOOT = 12, 4
_NUMBER, _STRING, _BOOL = 2, 3, 4  # fields of google.protobuf.Value

Fields: TypeAlias = "dict[int, list[Any]]"
HParam: TypeAlias = "bool | float | str"
"""The types of a hyperparameter in HParams."""


@dataclass(frozen=True)
class ScalarEvent:
    """One record: its scalars by tag, and the messages of plugins by tag."""

    time: float
    step: int
    scalars: Mapping[str, float] = field(default_factory=dict)
    plugins: Mapping[str, bytes] = field(default_factory=dict)


# -- Records ---------------------------------------------------------------------------------------


@cache
def _crc_table() -> tuple[int, ...]:
    """Return the table of CRC-32C (Castagnoli) for one byte."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _checksum(data: bytes) -> int:
    """Return the masked CRC-32C of TFRecord: a plain CRC of data that contains CRCs is weak."""
    table, value = _crc_table(), 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= 0xFFFFFFFF
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    """Frame a message with its length and checksums."""
    length = struct.pack("<Q", len(data))
    head, foot = struct.pack("<I", _checksum(length)), struct.pack("<I", _checksum(data))
    return length + head + data + foot


def records(data: bytes) -> Iterator[bytes]:
    """Yield the messages of a file, up to the first incomplete record.

    Only the checksum of the length is verified: that of the data would take longer than all else.
    """
    start = 0
    while (end := _end_of_record(data, start)) is not None and end <= len(data):
        yield data[start + _HEAD : end - _FOOT]
        start = end


def complete_records(data: bytes, *, largest: int) -> tuple[list[bytes], int]:
    """Return the messages in a part of a file that is being written, and where the rest begins.

    Messages above the `largest` size are left out. The rest may begin after the end of the data.
    """
    found, start = [], 0
    while (end := _end_of_record(data, start)) is not None:
        is_large = end - start > largest
        if end > len(data) and not is_large:
            break
        if not is_large:
            found.append(data[start + _HEAD : end - _FOOT])
        start = end
    return found, start


def _end_of_record(data: bytes, start: int) -> int | None:
    """Return where the record ends that starts here; None if its length is not there, or wrong."""
    if start + _HEAD > len(data):
        return None
    length, check = struct.unpack_from("<QI", data, start)
    return start + _HEAD + length + _FOOT if check == _checksum(data[start : start + 8]) else None


# -- Protocol buffers ------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative number takes all ten bytes
    encoded = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits per byte
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value)


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | _FIXED64) + struct.pack("<d", value)


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | _FIXED32) + struct.pack("<f", _as_float32(value))


def _message(number: int, data: bytes | str) -> bytes:
    """Encode a field that is a message or a string."""
    data = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    return _varint(number << 3 | _BYTES) + _varint(len(data)) + data


def _fields(data: bytes) -> Fields:
    """Return the fields of a message by number, without an incomplete one at the end."""
    fields: Fields = {}
    start = 0
    try:
        while start < len(data):
            key, start = _read_varint(data, start)
            value, start = _read_value(data, start, key & 7)
            fields.setdefault(key >> 3, []).append(value)
    except (IndexError, struct.error):
        pass
    return fields


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte
            return value, start
        shift += 7


def _read_value(data: bytes, start: int, wire_type: int) -> tuple[Any, int]:
    if wire_type == _VARINT:
        return _read_varint(data, start)
    if wire_type in {_FIXED64, _FIXED32}:
        form = "<d" if wire_type == _FIXED64 else "<f"
        return struct.unpack_from(form, data, start)[0], start + struct.calcsize(form)
    if wire_type != _BYTES:
        raise IndexError
    length, start = _read_varint(data, start)
    if start + length > len(data):
        raise IndexError
    return data[start : start + length], start + length


def _last(fields: Fields, number: int, default: Any) -> Any:
    """Return the last value of a field if it has the type of the default, else the default."""
    value = fields.get(number, [default])[-1]
    return value if isinstance(value, type(default)) else default


def _string(data: bytes) -> str:
    return data.decode("utf-8", "replace")


# -- Events ----------------------------------------------------------------------------------------


def header(time: float) -> bytes:
    return record(_double(1, time) + _message(3, "brain.Event:2"))


def scalars(time: float, step: int, values: Mapping[str, float]) -> bytes:
    summary = b"".join(
        _message(1, _message(1, tag) + _float(2, value)) for tag, value in values.items()
    )
    return record(_double(1, time) + _integer(2, step) + _message(5, summary))


def plugin(time: float, tag: str, content: bytes) -> bytes:
    metadata = _message(1, _message(1, "hparams") + _message(2, content))
    summary = _message(1, _message(1, tag) + _message(9, metadata))
    return record(_double(1, time) + _message(5, summary))


def events(data: bytes) -> Iterator[ScalarEvent]:
    """Yield the events of a file that hold scalars or messages of plugins."""
    return filter(None, map(event, records(data)))


def event(message: bytes) -> ScalarEvent | None:
    """Return the event in a record; None if it holds neither scalars nor messages of plugins."""
    fields = _fields(message)
    scalars: dict[str, float] = {}
    plugins: dict[str, bytes] = {}
    for summary in _messages(fields, 5):
        for value in _messages(_fields(summary), 1):
            _read_summary_value(_fields(value), scalars, plugins)
    if not scalars and not plugins:
        return None
    step = _last(fields, 2, 0)
    step -= (1 << 64) if step >> 63 else 0  # varints have no sign
    return ScalarEvent(float(_last(fields, 1, 0.0)), step, scalars, plugins)


def _messages(fields: Fields, number: int) -> Iterable[bytes]:
    return (each for each in fields.get(number, ()) if isinstance(each, bytes))


def _read_summary_value(
    value: Fields, scalars: dict[str, float], plugins: dict[str, bytes]
) -> None:
    """Add one value of a summary to the scalars, or to the messages of plugins."""
    tag, tensor = _string(_last(value, 1, b"")), _last(value, 8, b"")
    metadata = _fields(_last(_fields(_last(value, 9, b"")), 1, b""))
    if isinstance(number := value.get(2, [None])[-1], float):
        scalars[tag] = _shortest(number)
    elif _last(metadata, 1, b"") == b"scalars" and tensor:
        number = _number_in_tensor(_fields(tensor))
        if number is not None:
            scalars[tag] = number
    elif tag.startswith("_hparams_/"):
        plugins[tag] = _last(metadata, 2, b"")


def _shortest(number: float) -> float:
    """Return the shortest decimal that is the same 32-bit float: 0.69, not 0.6899999976158142."""
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        if short == number or (math.isfinite(short) and _as_float32(short) == number):
            return short
    return number


def _as_float32(number: float) -> float:
    """Round to a 32-bit float; a number that is too large becomes infinite."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _number_in_tensor(tensor: Fields) -> float | None:
    kind = _last(tensor, 1, 0)
    packed = _last(tensor, 4, b"")
    formats = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q", _HALF: "<e"}
    if packed and kind in formats and len(packed) >= struct.calcsize(formats[kind]):
        number = float(struct.unpack_from(formats[kind], packed)[0])
        return _shortest(number) if kind == _FLOAT else number
    values_field = {_FLOAT: 5, _DOUBLE: 6}.get(kind)
    for value in tensor.get(values_field, ()) if values_field else ():
        if isinstance(value, bytes) and len(value) >= struct.calcsize(formats[kind]):  # packed
            value = struct.unpack_from(formats[kind], value)[0]  # noqa: PLW2901 - the same number
        if isinstance(value, float):
            return _shortest(value) if kind == _FLOAT else value
    return None


# -- Hyperparameters -------------------------------------------------------------------------------


def session_start(
    hyperparameters: Mapping[str, HParam], group: str, time: float, uri: str
) -> bytes:
    """Encode the start of a trial. Trials of one group are repeats of one configuration."""
    pairs = (
        _message(1, _message(1, name) + _message(2, _encode_value(value)))
        for name, value in hyperparameters.items()
    )
    fields = b"".join(pairs) + _message(2, uri) + _message(4, group) + _double(5, time)
    return _message(3, fields)


def session_end(status: int, time: float) -> bytes:
    return _message(4, _integer(1, status) + _double(2, time))


def experiment(name: str, types: Mapping[str, type], tags: Mapping[str, str]) -> bytes:
    """Encode the columns of HParams: the types by name, and the metrics' headers by tag."""
    codes = {str: 1, bool: 2}
    names = (_message(4, _message(1, n) + _integer(4, codes.get(t, 3))) for n, t in types.items())
    shown = (
        _message(5, _message(1, _message(2, tag)) + _message(3, head)) for tag, head in tags.items()
    )
    return _message(2, b"".join(names) + b"".join(shown) + _message(6, name))


def _encode_value(value: HParam) -> bytes:
    if isinstance(value, bool):
        return _integer(_BOOL, int(value))
    return _message(_STRING, value) if isinstance(value, str) else _double(_NUMBER, value)


def read_session_start(content: bytes) -> dict[str, HParam]:
    hyperparameters: dict[str, HParam] = {}
    for session in _messages(_fields(content), 3):
        for pair in map(_fields, _messages(_fields(session), 1)):
            value, name = _fields(_last(pair, 2, b"")), _string(_last(pair, 1, b""))
            if _NUMBER in value:
                hyperparameters[name] = float(_last(value, _NUMBER, 0.0))
            elif _STRING in value:
                hyperparameters[name] = _string(_last(value, _STRING, b""))
            elif _BOOL in value:
                hyperparameters[name] = bool(_last(value, _BOOL, 0))
    return hyperparameters


def read_session_end(content: bytes) -> int:
    """Return the status of a trial that ended: UNKNOWN, SUCCESS, FAILURE or RUNNING."""
    session = _fields(_last(_fields(content), 4, b""))
    return int(_last(session, 1, UNKNOWN))
