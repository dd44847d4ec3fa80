"""Watch whether a script that logs no metrics leaves files that may have some.

The supervisor makes a `FileWatch` for each attempt without `--metrics`. Most trials leave no such
file, so this module only lists the folder once in a while. It loads `left_files`, which walks and
reads, when there is something to read. The rule: an attempt that leaves nothing pays one listing
at its beginning and one at its end.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system.file_stamps import size_of
from modeldir.metrics import metric_files
from modeldir.metrics.objective import Ranked
from modeldir.metrics.output_names import is_folder_of_files, may_have_metrics

if TYPE_CHECKING:
    from modeldir.metrics.collector import Collector

_FIRST_LOOK, _LONGEST_WAIT = 0.2, 2.0


def _has_candidates(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                may_have_metrics(entry.name, 0) or is_folder_of_files(entry) for entry in entries
            )
    except OSError:
        return False


class FileWatch:
    """Collects metrics from files like a `Collector`, once there are files.

    Args:
        preferred: the pattern of the file that an earlier trial of the search has left.
    """

    def __init__(
        self,
        folder: Path,
        console: str,
        ranked: Ranked | None,
        *,
        resumes: bool = False,
        preferred: str = "",
    ) -> None:
        self._folder, self._console, self._ranked = folder, console, ranked
        self._resumes, self._preferred = resumes, preferred
        self._lines = os.path.join(folder, metric_files.METRICS_LINES)
        self._size = size_of(self._lines)
        self._collector: Collector | None = None
        self._is_over = False  # whether the folder was listed after the command had ended
        self._wait, self._next = _FIRST_LOOK, 0.0
        if _has_candidates(os.fspath(folder)):
            self._collector = self._make(skip=True)
        self.missing = ""

    @property
    def has_found(self) -> bool:
        return self._collector is not None and self._collector.has_found

    @property
    def origin(self) -> str:
        return self._collector.origin if self._collector is not None else ""

    @property
    def pattern(self) -> str:
        return self._collector.pattern if self._collector is not None else ""

    def look(self) -> float:
        """Write the metrics that are new since the last look; return the seconds until the next."""
        if self._collector is not None:
            return self._collector.look()
        now = time.monotonic()
        if self._next > now:
            return self._next - now
        if self._next:
            self._begin_if_needed()
            self._wait = min(_LONGEST_WAIT, self._wait * 1.5)
        self._next = now + self._wait
        return self._wait

    def catch_up(self) -> bool:
        """Read a part of what is left at the end; return whether there may be more."""
        if not self._is_over:
            self._begin_if_needed()
        self._is_over = True
        return self._collector is not None and self._collector.catch_up()

    def finish(self) -> bool:
        """Write the rest. Return whether there was any metric.

        Raises:
            OSError: the disk failed. It can be called again.
        """
        self.catch_up()
        return self._collector is not None and self._collector.finish()

    def _begin_if_needed(self) -> None:
        if self._collector is not None or size_of(self._lines) != self._size:
            return  # the script logs its metrics itself
        if _has_candidates(os.fspath(self._folder)):
            self._collector = self._make(skip=False)

    def _make(self, *, skip: bool) -> Collector:
        from modeldir.metrics.collector import Collector  # noqa: PLC0415 - most trials need none
        from modeldir.metrics.left_files import LeftFiles  # noqa: PLC0415
        from modeldir.metrics.step_writer import StepWriter  # noqa: PLC0415

        source = LeftFiles(self._folder, self._ranked, preferred=self._preferred)
        if skip:
            source.skip_existing()
        writer = StepWriter(self._folder, self._ranked, resumes=self._resumes, chosen=False)
        return Collector(writer, [source], self._console)
