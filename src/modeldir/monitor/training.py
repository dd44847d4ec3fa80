"""A running training, read as it grows: its steps, its metrics, the last line that it printed.

It knows which of its files can tell something new, and reads only what is new of them. It refuses
to know of searches and of how a training ends.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from modeldir._system import files
from modeldir._system.stamps import Seen, Stamp, stamp
from modeldir.experiment import experiment, failures
from modeldir.metrics import metrics

MOST_KEPT = 128
"""Steps of a running training that are kept for its curve; of more, every second is let go."""

MOST_READ = 1 << 18
"""Bytes of new metrics that are read at one look: of more, the last; of a file's first, also the
line with which its curve begins.
"""

MOST_PARSED = 200
"""Lines of them that are parsed at one look, evenly spread, the first and the last among them."""

_NO_METRICS = frozenset({"step", "time", "epoch"})


class MetricFiles:
    """The metric files in a folder, and whether one of them was written.

    Who replaces a file changes the folder; who opens it for writing (CS230's `save_dict_to_json`)
    changes the file alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: tuple[str, ...] = ()
        self._listed, self._written = Seen(), Seen()

    def changed(self) -> bool:
        """Whether to read them: as long as none was written, a `stat` of each and of the folder."""
        if self._listed.changed(stamp(self._folder)):
            with suppress(OSError):
                self._names = tuple(filter(metrics.classify, os.listdir(self._folder)))
        return self._written.changed([stamp(self._folder / name) for name in self._names])


class Training:
    """What a running training tells: its steps in `metrics.jsonl`, else its metric files, else the
    last line that it printed. Each call of `look` reads what is new.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.says = ""
        self._files = MetricFiles(folder)
        self._console: Stamp = None
        self._start(0)

    def _start(self, inode: int) -> None:
        """Nothing is known of the file of metrics that is there now."""
        self.step: object = None
        self._inode = inode
        self._offset = 0
        self._lines: list[Mapping[str, float]] = []  # of some steps, evenly spread
        self._every = 1
        self._count = 0
        self._latest: Mapping[str, float] = {}
        self._curve: tuple[tuple[str, int], tuple[float, ...]] = (("", 0), ())

    def look(self) -> None:
        """Read what is new."""
        now = stamp(self.folder / metrics.METRICS_LINES)
        if now is not None:
            self._grow(now)
        elif self._inode:  # moved aside: a new attempt starts afresh
            self._start(0)
        elif self._files.changed():
            self._read_scores()
        if not self._latest:
            self._listen()

    def _grow(self, now: tuple[int, int, int]) -> None:
        _, size, inode = now
        if size < self._offset or inode != self._inode:
            self._start(inode)
        if size == self._offset:
            return
        begin = max(self._offset, size - MOST_READ)
        if begin and not self._offset:
            self._take(_piece(self.folder / metrics.METRICS_LINES, 0).partition(b"\n")[0])
        data = _piece(self.folder / metrics.METRICS_LINES, begin)
        whole = data[: data.rfind(b"\n") + 1]
        if begin > self._offset:
            whole = whole[whole.find(b"\n") + 1 :]  # what we came into the middle of
        self._offset = begin + data.rfind(b"\n") + 1
        for line in _spread(whole.splitlines(), MOST_PARSED):
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            return  # torn, or not ours
        if not isinstance(value, dict):
            return
        self.step = value.get("step", value.get("epoch", self.step))
        found = {k: v for k, v in metrics.numbers_in(value) if k not in _NO_METRICS}
        if found:
            self._keep(found)

    def _keep(self, found: Mapping[str, float]) -> None:
        self._latest = found
        if self._count % self._every == 0:
            self._lines.append(found)
        self._count += 1
        if len(self._lines) >= MOST_KEPT:
            del self._lines[1::2]
            self._every *= 2

    def _read_scores(self) -> None:
        """What a script that writes only metric files has reached by now."""
        scores = experiment.scores(self.folder)
        found = scores.last or scores.best
        if found and dict(found) != dict(self._latest):
            self._keep(dict(found))

    def _listen(self) -> None:
        path = self.folder / "console.log"
        now = stamp(path)
        if now is not None and now != self._console:
            self._console = now
            self.says = failures.last_printed(files.tail(path, 4096)) or ""

    def value(self, name: str) -> float | None:
        """The latest value of a development metric."""
        return metrics.value_of(self._latest, name)

    def names(self) -> list[str]:
        """The metrics of the latest step, those of training last."""
        return sorted(self._latest, key=lambda name: name.startswith("train"))

    def curve(self, name: str) -> tuple[float, ...]:
        """A metric's values so far, evenly spread over the steps, and the latest."""
        if self._curve[0] != (name, self._count):
            self._curve = ((name, self._count), self._drawn(name))
        return self._curve[1]

    def _drawn(self, name: str) -> tuple[float, ...]:
        values = [metrics.value_of(line, name) for line in self._lines]
        if self._lines and self._lines[-1] is not self._latest:
            values.append(self.value(name))
        return tuple(value for value in values if value is not None)


def _piece(path: Path, begin: int) -> bytes:
    with suppress(OSError), open(path, "rb") as file:
        file.seek(begin)
        return file.read(MOST_READ)
    return b""


def _spread(lines: Sequence[bytes], most: int) -> Iterable[bytes]:
    """At most so many lines, evenly spread, with the first and the last."""
    if len(lines) <= most:
        return lines
    return (lines[index * (len(lines) - 1) // (most - 1)] for index in range(most))
