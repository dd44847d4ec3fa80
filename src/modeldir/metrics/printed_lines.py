"""`metrics.jsonl` as it grows: a line a step, each by one write, whole or torn at the very end.

It knows one open file, and how numbers with names become a line. It refuses to know which are the
best, and whose they are.

A line is with the kernel when `add` returns, so nothing that ends the process takes it back. A
training may log hundreds of thousands of them a second, and then what JSON and the clock take for
one is several times the write itself. So the form of a line is made once for each set of names, its
time once a millisecond; what is filled in are finite floats, by the `repr` that `json` has for them
too. Anything else takes the long way, to the same bytes.
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
from modeldir.metrics import metrics

_MOST_FORMS = 256
"""Who logs other names each time gains nothing by forms, and must not fill the memory with them."""

_OWN = frozenset({"step", "time"})


@dataclass(frozen=True)
class _Form:
    """A line with these names: what `%` fills in, and which of them are development metrics, as
    pairs of the name without its split and the name that was given.
    """

    text: bytes
    development: tuple[tuple[str, str], ...]


class MetricLines:
    """The lines of one attempt, added to what the file holds already."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._forms: dict[object, _Form] = {}  # by the name, or by the tuple of several
        self._until, self._time = 0.0, b""

    def add_floats(
        self, step: object, values: Mapping[str, Any]
    ) -> tuple[tuple[str, str], ...] | None:
        """Add a line of floats, and return which of them are development metrics: see `_Form`.
        None, and nothing was done, where a line needs the long way (`add`): the first one, and one
        with anything that is no float, or not finite.

        Raises:
            OSError: when the line cannot be written whole.
        """
        if type(step) is not int or self._descriptor is None:
            return None
        if (now := time.time()) >= self._until:
            self._until = (int(now * 1000) + 1) / 1000
            self._time = timestamps.utc_text(now).encode()
        if len(values) != 1:  # one loss is what is logged most often: it is spared all loops
            return self._add_several(step, values)
        ((name, number),) = values.items()
        form = self._forms.get(name) or self._new_form(name, (name,))
        if form is None or type(number) is not float or number - number != 0.0:  # NaN of infinity
            return None
        line = form.text % (step, self._time, number)
        if os.write(self._descriptor, line) != len(line):
            self._refuse()
        return form.development

    def _add_several(
        self, step: int, values: Mapping[str, Any]
    ) -> tuple[tuple[str, str], ...] | None:
        names, numbers = tuple(values), tuple(values.values())
        for number in numbers:
            if type(number) is not float or number - number != 0.0:
                return None
        form = self._forms.get(names) or self._new_form(names, names)
        if form is None:
            return None
        self._write(form.text % (step, self._time, *numbers))
        return form.development

    def add(self, step: object, values: Mapping[str, Any]) -> None:
        """Add a line of what `metrics.plain` makes.

        Raises:
            OSError: when the line cannot be written whole.
        """
        step = step.item() if hasattr(step, "item") else step  # of `numpy.arange`, or a tensor
        line = {"step": step, "time": timestamps.utc_text(time.time()), **values}
        if self._descriptor is None:  # what an earlier attempt may have left torn is closed first
            files.append_line(self._path, line)
            self._descriptor = files.open_append(self._path)
            return
        self._write(json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """Let go of the file; another line opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: bytes) -> None:
        if self._descriptor is not None and os.write(self._descriptor, line) != len(line):
            self._refuse()

    def _refuse(self) -> None:
        """A part of a line is on a disk that is full: the next line must not go on in it."""
        self.close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(self._path))

    def _new_form(self, key: object, names: tuple[str, ...]) -> _Form | None:
        """None for names that need the long way."""
        if not all(type(name) is str for name in names) or not _OWN.isdisjoint(names):
            return None
        if len(self._forms) >= _MOST_FORMS:
            self._forms.clear()
        parts = (", " + json.dumps(name).replace("%", "%%") + ": %a" for name in names)
        text = f'{{"step": %d, "time": "%b"{"".join(parts)}}}\n'.encode()
        # Of names instead of numbers: which of them is meant is a question of names alone.
        meant: Mapping[str, Any] = metrics.development({name: name for name in names})  # type: ignore[misc]
        form = self._forms[key] = _Form(text, tuple(meant.items()))
        return form
