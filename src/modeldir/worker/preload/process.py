"""The process that imports for a worker's trials: at most one at a time, made when first needed.

`policy.py` decides when something is imported and what its answer means. This module keeps what the
process was asked for, how long it may take, and the processes before it whose trials still run.
The process itself, on both sides of its socket: `spawner.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeldir.worker.preload.imports import ImportList
    from modeldir.worker.preload.spawner import Answer, PreloadSpawner


_LOOK_EVERY = 1.0
_LOOK_PART = 100
"""Whether a library was edited is looked up for at most a hundredth of the time: it may be slow."""


class ImportProcess:
    """The import process of one worker, or none. `make` starts one."""

    def __init__(self, make: Callable[[], PreloadSpawner], clock: Callable[[], float]) -> None:
        self._make, self._clock = make, clock
        self.spawner: PreloadSpawner | None = None
        self._old: list[PreloadSpawner] = []
        self._lost: list[PreloadSpawner] = []
        self._compare_at = 0.0
        self._forget()

    def _forget(self) -> None:
        self.modules = 0
        """How many modules it has imported."""
        self.requested = 0
        """How many modules it was asked for last."""
        self._stamp = 0  # the state of these modules' files at that time
        self.is_importing = False
        self.patience = 0.0
        self._asked = 0.0

    @property
    def is_ready(self) -> bool:
        return self.spawner is not None and bool(self.modules) and not self.is_importing

    @property
    def is_late(self) -> bool:
        return self.is_importing and self._clock() - self._asked > self.patience

    def request(self, imports: ImportList, patience: float) -> None:
        """Have a list of modules imported, within `patience` seconds.

        Raises:
            OSError: no process can be made, or it does not listen.
        """
        self.requested, self._stamp = len(imports.modules), imports.stamp()
        self._asked, self.patience, self.is_importing = self._clock(), patience, True
        self.spawner = self.spawner or self._make()
        self.spawner.ask(imports)

    def is_stale(self, imports: ImportList) -> bool:
        """Whether something was installed, or a module's file was edited, since it was asked."""
        now = self._clock()
        if not imports.is_current():
            return True
        if now < self._compare_at:
            return False
        is_other = imports.stamp() != self._stamp
        self._compare_at = now + max(_LOOK_EVERY, _LOOK_PART * (self._clock() - now))
        return is_other

    def answer(self) -> Answer | None:
        """Return what it has answered since, if anything; never waits.

        Raises:
            OSError: it is gone.
        """
        answer = self.spawner.answer() if self.spawner is not None else None
        if answer is not None:
            self.is_importing = False
        return answer

    def restart_clock(self) -> None:
        """Count from now: this worker was stopped, and so may the process have been."""
        self._asked = self._clock()

    def note_loss(self) -> None:
        """Note that it died: from now on nothing reports the ends of its supervisors."""
        if self.spawner is not None:
            self._lost.append(self.spawner)

    def take_lost(self) -> list[PreloadSpawner]:
        """Return the processes that died since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def dismiss(self) -> None:
        """Let it leave when its last trial ends. Another one may be made."""
        if self.spawner is not None:
            self.spawner.dismiss()
            self._old.append(self.spawner)
        self.spawner = None
        self._forget()

    def kill(self) -> None:
        if self.spawner is not None:
            self.spawner.kill()

    def close(self) -> None:
        """Let all processes leave; one that is importing leaves at once."""
        if self.is_importing:
            self.kill()
        for each in self._all():
            each.close()
        self.spawner, self._old = None, []

    @property
    def spawners(self) -> list[PreloadSpawner]:
        """All whose supervisors may still report."""
        return [each for each in self._all() if not each.is_over]

    @property
    def descriptors(self) -> list[int]:
        """Descriptors that become readable when a process answers, reports or dies."""
        line = [self.spawner.line] if self.spawner is not None else []
        return [*(each.reports for each in self.spawners), *line]

    def _all(self) -> list[PreloadSpawner]:
        return [*self._old, *([self.spawner] if self.spawner is not None else [])]
