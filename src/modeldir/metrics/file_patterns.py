"""The patterns of `--metrics`: a printed line with `{name}`, or `FILE[:COLUMN]`.

`check` is called for each plan and setting. A file's pattern is a path in the trial's folder, or a
name anywhere below it; `*` stands for any text. How lines match: `printed_lines`; which files are
taken without a pattern: `left_files`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from modeldir.errors import MetricsError
from modeldir.metrics import printed_lines

_DATED = r"[0-9].*"
"""The part of a folder's name that differs between runs: `version_0`, `checkpoint-500`."""


def is_printed(pattern: str) -> bool:
    """Return whether a pattern is a printed line, not a file."""
    return "{" in pattern


def check(patterns: Sequence[str]) -> None:
    """Check the patterns of `--metrics`.

    Raises:
        MetricsError: if one of them cannot be used.
    """
    printed_lines.compile_patterns([each for each in patterns if is_printed(each)])
    for each in patterns:
        if not is_printed(each):
            FilePattern(each)


def have_step(patterns: Sequence[str]) -> bool:
    """Return whether the steps may be known that metrics belong to."""
    lines = [each for each in patterns if is_printed(each)]
    return len(lines) < len(patterns) or printed_lines.have_step(lines)


@dataclass(frozen=True)
class FilePattern:
    """A file's pattern, and the only column to read, if one is named."""

    text: str
    file: str = field(init=False)
    column: str = field(init=False)

    def __post_init__(self) -> None:
        file, _, column = self.text.strip().partition(":")
        object.__setattr__(self, "file", file.removeprefix("./"))
        object.__setattr__(self, "column", column.strip())
        if not re.search(r"[./*]", file) or re.search(r"\s", file):
            printed_lines.compile_pattern(self.text)  # raises that it has no {name}
        if file.startswith(("/", "~")) or ".." in file.split("/"):
            reason = "is not inside the trial's folder"
            hint = "write its path from there, for example lightning_logs/*/metrics.csv"
            raise MetricsError(f"--metrics {self.text!r}:", [(reason, hint)])

    def matches(self, path: str) -> bool:
        """Return whether a path, relative to the trial's folder, is meant."""
        name = path if "/" in self.file else path.rpartition("/")[2]
        return fnmatch.fnmatchcase(name, self.file)


def generalized(path: str) -> str:
    """Return the pattern for the same file of other trials.

    >>> generalized("lightning_logs/version_0/metrics.csv"), generalized("a/events.out.tfevents.1")
    ('lightning_logs/version_*/metrics.csv', '*tfevents*')
    """
    *folders, name = path.split("/")
    if "tfevents" in name:
        return "*tfevents*"
    if name == "trainer_state.json":
        return name
    return "/".join([*(re.sub(_DATED, "*", each) for each in folders), name])
