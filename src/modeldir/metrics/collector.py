"""Collect the metrics of a script that does not log them itself, while it runs.

The supervisor calls `Collector.look` from its loop and `finish` at the end. The steps come from
sources: printed lines (here) and files (`left_files`); they go into the files of `run.log`
(`step_writer`). The rule: a look reads a limited number of bytes, and an error of the disk loses
nothing: what could not be written is written at the next look.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from modeldir._system import files, reading
from modeldir.errors import MetricsError
from modeldir.metrics import left_files, metric_files, printed_lines
from modeldir.metrics.file_patterns import FilePattern, is_printed
from modeldir.metrics.objective import Ranked
from modeldir.metrics.step_writer import StepWriter, last_step

_SHORTEST_WAIT, _LONGEST_WAIT = 0.02, 0.5
_AT_ONCE = 4 << 20
"""Bytes that one look reads. A supervisor must not miss its heartbeat."""


class Source(Protocol):
    """A place that has metrics."""

    @property
    def origin(self) -> str:
        """Return where metrics were found, as text; empty as long as there are none."""

    @property
    def missing(self) -> str:
        """Return the reason of a failure if there are none; empty if that is no failure."""

    def read(self, writer: StepWriter, *, is_over: bool) -> bool:
        """Add new steps to the writer; return whether there was anything new.

        Raises:
            OSError: the disk failed. It can be called again.
        """


class PrintedSteps:
    """The steps in printed lines, in order.

    A line without a step belongs to the step before it. If no pattern has a step, a line whose
    metric the step already has begins the next one. If a pattern has, such a line repeats or sums
    up, and does not count.
    """

    def __init__(self, patterns: Sequence[str], step: float = 0) -> None:
        self._patterns = printed_lines.compile_patterns(patterns)
        self._has_steps = any(each.has_step for each in self._patterns)
        self._keys = tuple({each.key for each in self._patterns})
        self._step, self._seen = step, set[str]()
        self._has_begun = False

    def read(self, data: bytes) -> Iterator[tuple[float, dict[str, float]]]:
        r"""Yield (step, metrics) of each matching line. Lines end at `\n` alone."""
        for raw in data.split(b"\n"):
            if b"\x1b" not in raw and not any(key in raw for key in self._keys):
                continue  # a color may split a key
            values = printed_lines.parse_line(self._patterns, raw.decode("utf-8", "replace"))
            if values and (metrics := self._of_step(values)):
                yield self._step, metrics

    def _of_step(self, values: dict[str, float]) -> dict[str, float]:
        step = metric_files.take_step(values)
        if step is not None:
            if step != self._step or not self._has_begun:
                self._step, self._seen = step, set()
        elif not self._has_steps and (not self._has_begun or not self._seen.isdisjoint(values)):
            self._step, self._seen = self._step + 1, set()
        elif self._has_steps:
            values = {name: each for name, each in values.items() if name not in self._seen}
        self._has_begun = True
        self._seen.update(values)
        return values


class PrintedOutput:
    """The lines of an output file, of which the first `since` bytes are of earlier attempts.

    Args:
        step: the last step of those earlier attempts.
        is_live: whether the time of a step is the time at which it is read.
    """

    def __init__(
        self,
        console: str | os.PathLike[str],
        since: int,
        patterns: Sequence[str],
        step: float = 0,
        *,
        is_live: bool = True,
    ) -> None:
        self._console, self._offset, self._size = console, since, since
        self._steps = PrintedSteps(patterns, step)
        self._is_long = False  # whether the line at the offset has lost its beginning
        self._is_live = is_live
        self.origin = ""
        self.missing = f"it completed but printed no line like {' or '.join(map(repr, patterns))}"

    def read(self, writer: StepWriter, *, is_over: bool) -> bool:
        """Read some new lines; see `Source`."""
        try:
            size = os.stat(self._console).st_size
            if size <= self._offset or (size == self._size and not is_over):
                return False
            with reading.open_stream(self._console) as file:
                file.seek(self._offset)
                data = file.read(_AT_ONCE)
        except FileNotFoundError:
            return False
        self._size = min(size, self._offset + len(data))
        end = data.rfind(b"\n") + 1
        is_last = is_over and self._offset + len(data) >= size
        if not end and len(data) > reading.LONGEST_LINE and not is_last:
            end = max(data.rfind(b"\r"), len(data) - reading.LONGEST_LINE)
            self._offset, self._is_long = self._offset + end, True
            return True
        if is_last:
            end = len(data)
        lines = data[:end]
        if self._is_long and end:  # of a line that is cut, what follows a carriage return is whole
            first, line_end, rest = lines.partition(b"\n")
            kept = first[first.find(b"\r") + 1 :] if b"\r" in first else b""
            lines, self._is_long = kept + line_end + rest, False
        now = time.time() if self._is_live else None
        for step, metrics in self._steps.read(lines):
            self.origin = os.path.basename(self._console)
            writer.add(step, metrics, now)
        self._offset += end
        return end > 0


class Collector:
    """Collects the metrics of one attempt into the files of `run.log`.

    Args:
        console: the attempt's output, for a note that the script logs its metrics itself.
    """

    def __init__(
        self, writer: StepWriter, sources: Sequence[Source], console: str | os.PathLike[str]
    ) -> None:
        self._writer, self._sources, self._console = writer, sources, console
        self._wait = _SHORTEST_WAIT
        self._has_warned = False  # that not all steps are kept

    @property
    def has_found(self) -> bool:
        """Whether there was any metric: in a source, or logged by the script itself."""
        return bool(self.origin) or not self._writer.is_alone

    @property
    def missing(self) -> str:
        return "; ".join(each.missing for each in self._sources if each.missing)

    @property
    def origin(self) -> str:
        """The places in which metrics were found, as text; empty if there were none."""
        if not self._writer.is_alone:
            return ""
        return ", ".join(each.origin for each in self._sources if each.origin)

    @property
    def pattern(self) -> str:
        """The pattern that finds the files in which metrics were found; empty if in none."""
        found = [each for each in self._sources if isinstance(each, left_files.LeftFiles)]
        return found[0].pattern if found and self._writer.is_alone else ""

    @property
    def steps(self) -> int:
        """How many steps were found."""
        return self._writer.steps

    def look(self) -> float:
        """Write the metrics that are new since the last look; return the seconds until the next.

        No error ends the attempt. At the end, `finish` tries again and raises the error.
        """
        is_more = False
        with contextlib.suppress(OSError, MetricsError):
            is_more = self._read(is_over=False)
            self._write()
        self._wait = _SHORTEST_WAIT if is_more else min(_LONGEST_WAIT, self._wait * 1.5)
        return self._wait

    def catch_up(self) -> bool:
        """Read a part of what is left at the end; return whether there may be more."""
        with contextlib.suppress(OSError, MetricsError):
            return self._read(is_over=True)
        return False

    def finish(self) -> bool:
        """Write the rest, also of a line without an end. Return whether there was any metric.

        Raises:
            OSError: the disk failed. It can be called again.
        """
        while self._read(is_over=True):
            pass
        self._write()
        return self.has_found

    def _read(self, *, is_over: bool) -> bool:
        if not self._writer.is_alone:
            return False
        is_more = False
        for each in self._sources:
            is_more = each.read(self._writer, is_over=is_over) or is_more
        return is_more

    def _write(self) -> None:
        was_alone = self._writer.is_alone
        self._writer.write()
        has_found = any(each.origin for each in self._sources)
        if was_alone and not self._writer.is_alone and has_found:
            self._note("the script logs its metrics itself, so no others are collected")
        if self._writer.is_full and not self._has_warned:
            self._has_warned = True
            most = f"{reading.LINES.limit >> 20} MB"
            self._note(
                f"warning: {metric_files.METRICS_LINES} has reached {most}, so later steps are not "
                "added to it. The last and the best metrics include them."
            )

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError):
            files.append_whole(self._console, f"modeldir: {text}\n".encode())


def collector_for(  # noqa: PLR0913 - an attempt's facts
    folder: Path,
    console: str | os.PathLike[str],
    since: int,
    patterns: Sequence[str],
    ranked: Ranked | None,
    *,
    resumes: bool = False,
    is_live: bool = True,
    into: Path | None = None,
) -> Collector:
    """Return the collector for the patterns of `--metrics`, of lines and of files.

    If the attempt has ended (not `is_live`), steps have no time. `into` is the folder to write to,
    if that is another one.
    """
    lines = [each for each in patterns if is_printed(each)]
    sources: list[Source] = []
    if lines:
        step = last_step(folder) if resumes else 0
        sources.append(PrintedOutput(console, since, lines, step, is_live=is_live))
    found = [FilePattern(each) for each in patterns if not is_printed(each)]
    sources += [left_files.LeftFiles(folder, ranked, only=each, is_live=is_live) for each in found]
    is_chosen = bool(lines) or any(each.column for each in found)
    writer = StepWriter(into or folder, ranked, resumes=resumes, chosen=is_chosen)
    if is_live:
        for source in sources:
            if isinstance(source, left_files.LeftFiles):
                source.skip_existing()
    return Collector(writer, sources, console)
