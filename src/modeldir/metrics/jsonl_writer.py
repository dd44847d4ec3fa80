"""Write `metrics.jsonl`: one line for each step, each by one write.

`recorder` calls `MetricsWriter`. When `add` returns, the kernel has the line, so nothing that ends
the process can lose it. A script may log 100,000 lines a second, so the format of a line is made
once for each set of names, and the time once a millisecond; `add` is the slow path.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modeldir._system import files, timestamps
from modeldir.metrics import metric_files

_MOST_FORMATS = 256
"""Formats that are kept. A script that logs other names each time must not fill the memory."""

_RESERVED = frozenset({"step", "time"})


@dataclass(frozen=True)
class _LineFormat:
    """A line's text for `%`, and pairs: a validation metric's name without split, and as logged."""

    text: bytes
    validation: tuple[tuple[str, str], ...]


class MetricsWriter:
    """Adds the lines of one attempt to the file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._formats: dict[object, _LineFormat] = {}  # by the name, or by a tuple of several
        self._until, self._time = 0.0, b""

    def add_floats(
        self, step: object, values: Mapping[str, Any]
    ) -> tuple[tuple[str, str], ...] | None:
        """Add a line of finite floats; return its validation metrics, or None if it needs `add`."""
        if type(step) is not int or self._descriptor is None:
            return None
        if (now := time.time()) >= self._until:
            self._until = (int(now * 1000) + 1) / 1000
            self._time = timestamps.utc_text(now).encode()
        if len(values) != 1:  # one loss is the most frequent case, so it needs no loop
            return self._add_several(step, values)
        ((name, number),) = values.items()
        form = self._formats.get(name) or self._new_format(name, (name,))
        if form is None or type(number) is not float or number - number != 0.0:  # NaN or infinite
            return None
        line = form.text % (step, self._time, number)
        if os.write(self._descriptor, line) != len(line):
            self._close_and_raise()
        return form.validation

    def _add_several(
        self, step: int, values: Mapping[str, Any]
    ) -> tuple[tuple[str, str], ...] | None:
        names, numbers = tuple(values), tuple(values.values())
        for number in numbers:
            if type(number) is not float or number - number != 0.0:
                return None
        form = self._formats.get(names) or self._new_format(names, names)
        if form is None:
            return None
        self._write(form.text % (step, self._time, *numbers))
        return form.validation

    def add(self, step: object, values: Mapping[str, Any]) -> None:
        """Add a line of values from `metric_files.as_json`.

        Raises:
            OSError: when the line cannot be written completely.
        """
        step = step.item() if hasattr(step, "item") else step  # from NumPy or a tensor
        line = {"step": step, "time": timestamps.utc_text(time.time()), **values}
        if self._descriptor is None:  # an earlier attempt may have left a torn line, which is ended
            files.append_line(self._path, line)
            self._descriptor = files.open_append(self._path)
            return
        self._write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Close the file; another line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: bytes) -> None:
        if self._descriptor is not None and os.write(self._descriptor, line) != len(line):
            self._close_and_raise()

    def _close_and_raise(self) -> None:
        """Report a full disk that has a part of a line: the next line must not continue it."""
        self.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self._path))

    def _new_format(self, key: object, names: tuple[str, ...]) -> _LineFormat | None:
        """Make and keep a format; None for names that need the slow path."""
        if not all(type(name) is str for name in names) or not _RESERVED.isdisjoint(names):
            return None
        if len(self._formats) >= _MOST_FORMATS:
            self._formats.clear()
        parts = (", " + json.dumps(name).replace("%", "%%") + ": %a" for name in names)
        text = f'{{"step": %d, "time": "%b"{"".join(parts)}}}\n'.encode()
        # With names as values, it tells which name each validation metric was logged by.
        validation: Mapping[str, Any] = metric_files.validation_metrics(
            {name: name for name in names}  # type: ignore[misc]
        )
        form = self._formats[key] = _LineFormat(text, tuple(validation.items()))
        return form
