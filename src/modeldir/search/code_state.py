"""The code, the command and the program that trials run with, as they are now.

`Search.setting` asks, for each trial's run file and for `retries.py`. The hash of the code itself:
`modeldir.experiment.provenance`; the code that is kept: `modeldir.experiment.code_snapshots`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modeldir.experiment import provenance
from modeldir.metrics import objective
from modeldir.search import plan, trial_command

if TYPE_CHECKING:
    from modeldir.experiment import code_snapshots

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
        self._snapshots: dict[Path, tuple[float, str | None]] = {}
        self._environments: dict[Path, tuple[float, str | None]] = {}
        self._keepers: dict[Path, code_snapshots.Keeper] = {}

    def code(self, folder: Path) -> str | None:
        return _kept(self._codes, folder, lambda it: provenance.code_hash(it, self._digests))

    def commit(self, folder: Path) -> str | None:
        return _kept(self._commits, folder, provenance.git_commit)

    def program(self, command: str | None) -> str | None:
        return None if command is None else _kept(self._programs, command, trial_command.program_of)

    def kept(self, wanted: plan.Plan, folder: Path, store: Path) -> dict[str, str | None]:
        """Keep the code and the environment as they are now; return their names for run files."""
        from modeldir.experiment import environments  # noqa: PLC0415 - only where trials run

        program = self.program(wanted.command)
        return {
            "snapshot": _kept(self._snapshots, folder, lambda it: self.keeper(it, store).keep()),
            "environment": _kept(
                self._environments, folder, lambda it: environments.keep(program, it, store)
            ),
        }

    def keeper(self, folder: Path, store: Path) -> code_snapshots.Keeper:
        from modeldir.experiment.code_snapshots import Keeper  # noqa: PLC0415 - as above

        if folder not in self._keepers:
            self._keepers[folder] = Keeper(folder, store)
        return self._keepers[folder]

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
