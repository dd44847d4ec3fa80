"""The code, the command and the program that trials run with, as they are now.

`Search.setting` asks, for each trial's run file and for `retries.py`. The hash of the code itself:
`modeldir.experiment.provenance`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from modeldir.experiment import provenance
from modeldir.metrics import objective
from modeldir.search import plan, trial_command

_K = TypeVar("_K")
_KEPT = 1.0
"""Seconds for which a result is kept: to hash the code takes longer than to start a trial."""


class CodeState:
    """The code and the programs as they are now, looked for at most once a second."""

    def __init__(self) -> None:
        self._codes: dict[Path, tuple[float, str | None]] = {}
        self._digests: provenance.Digests = {}
        self._programs: dict[str, tuple[float, str | None]] = {}
        self._commits: dict[Path, tuple[float, str | None]] = {}

    def code(self, folder: Path) -> str | None:
        return _kept(self._codes, folder, lambda it: provenance.code_hash(it, self._digests))

    def commit(self, folder: Path) -> str | None:
        return _kept(self._commits, folder, provenance.git_commit)

    def program(self, command: str | None) -> str | None:
        return None if command is None else _kept(self._programs, command, trial_command.program_of)

    def setting(self, wanted: plan.Plan, folder: Path) -> dict[str, Any]:
        return {
            "code": self.code(folder),
            "program": self.program(wanted.command),
            "template": wanted.command,
            "metrics": objective.to_json(wanted.metrics),
        }


def _kept(
    known: dict[_K, tuple[float, str | None]], key: _K, look: Callable[[_K], str | None]
) -> str | None:
    now = time.monotonic()
    if key not in known or now - known[key][0] > _KEPT:
        known[key] = (now, look(key))
    return known[key][1]
