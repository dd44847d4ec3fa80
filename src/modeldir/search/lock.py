"""The lock of a search, which spares workers useless work.

Nothing depends on it for safety: a number is claimed by publishing its claim (`claims.py`). A
worker that cannot get it continues without it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from modeldir._system import files
from modeldir.experiment.attempts import HOME

_PATIENCE, _SHORT_PATIENCE = 10.0, 0.25
"""Seconds to wait for the lock: at first, and after a wait that was in vain."""


class SearchLock:
    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._home = os.path.join(folder, HOME)
        self._patience = _PATIENCE
        self._has_home = False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock: workers take turns at what would otherwise be done twice."""
        if not self._has_home:
            Path(self._home).mkdir(exist_ok=True)
            self._has_home = True
        with files.locked(os.path.join(self._home, "lock"), patience=self._patience) as got:
            # A host that died with the lock may hold it for ever: wait the full time only once.
            self._patience = _PATIENCE if got else _SHORT_PATIENCE
            yield
