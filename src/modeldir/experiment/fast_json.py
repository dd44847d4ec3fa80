"""Reads small JSON files in one system call each and parses them as strictly as the full readers.

Tables read tens of thousands of such files, so speed matters here. `experiment` and `reader` call
these functions first. Rule that must not break: each returns what the full reader would return, or
None. None means "use the full reader", which also says what is wrong with a file: `load_file` for
hyperparameters, `read_metrics` for metrics, `reading.read_object` for everything else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from modeldir._system import reading
from modeldir._system.reading import MAX_DEPTH

_LARGE = reading.Kind("a file for the quick reader", 1 << 20)
_EXACT = 2**53
"""Integers up to this size are exact as floats."""


def read_object(path: str) -> dict[str, Any]:
    """Return the object in a JSON file, and an empty one if there is none."""
    data = reading.read_short(path) or _read_large(path)
    values = None if data is None or _is_odd(data) else _parse(data, _scan)
    return reading.read_object(path) if values is None else values


def read_params(path: str) -> dict[str, Any] | None:
    """Return the hyperparameters in a `params.json`."""
    data = reading.read_short(path) or _read_large(path)
    if data is None or _is_odd(data):
        return None
    return _parse(data, _scan_strictly)


def read_metrics(path: str) -> dict[str, float] | None:
    """Return the metrics in a file that contains numbers only."""
    data = reading.read_short(path) or _read_large(path)
    values = None if data is None or _is_odd(data) else _parse(data, _scan)
    for value in values.values() if values is not None else ():
        kind = type(value)
        if kind is not float and (kind is not int or not -_EXACT <= value <= _EXACT):
            return None
    return values


def _is_odd(data: bytes) -> bool:
    """Whether there may be half of a character, or too many brackets inside each other."""
    return b"\\u" in data or data.count(b"{") + data.count(b"[") > MAX_DEPTH


def _read_large(path: str) -> bytes | None:
    return reading.read_bytes(path, _LARGE)


def _parse(data: bytes, scan: Callable[[str, int], tuple[Any, int]]) -> dict[str, Any] | None:
    """Return the JSON object in some bytes, None if they contain more than a final line break."""
    try:
        text = data.decode()
        value, end = scan(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    is_whole = end == len(text) or text[end:] == "\n"
    return value if is_whole and type(value) is dict else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):  # a name is given twice
        raise ValueError
    return values


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


# `raw_decode` calls these. They return the value that begins at a place, and the place behind it.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_scan_strictly = json.JSONDecoder(  # type: ignore[attr-defined]
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
).scan_once
