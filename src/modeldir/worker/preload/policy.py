"""Decide which trials of a search are preloaded: forked from a process that has done the imports.

`worker.py` asks a `Preloading` how each attempt starts. The first trial records its imports; if
that is worth it, a process does them ahead. Nothing depends on preloading: whatever goes wrong,
trials start as plain commands. Reasons against forks: `guards.py`; hanging forks: `probation.py`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import cpus
from modeldir.experiment import attempts, failure_classes, trial_labels
from modeldir.experiment.attempts import HOME
from modeldir.worker.preload import guards, import_cache, launched
from modeldir.worker.preload.command_line import interpreter_of, script_of
from modeldir.worker.preload.import_cache import SavedImports, Script
from modeldir.worker.preload.probation import Probation
from modeldir.worker.preload.process import ImportProcess
from modeldir.worker.preload.recording import Recording, remove_old

if TYPE_CHECKING:
    from modeldir.experiment.experiment import Status
    from modeldir.worker.preload.imports import ImportList
    from modeldir.worker.preload.spawner import PreloadSpawner
    from modeldir.worker.spawner import Spawner
    from modeldir.worker.start_order import Start

WORTH = 60
"""How many installed modules a script has to import. NumPy has 84 (0.1 s), PyTorch 800 (1.6 s);
Python's own modules, and modeldir's, are imported in a few hundredths of a second.
"""
BRIEF = 0.2
"""A trial of at most this many seconds gains a tenth or more, whatever it imports: a fork saves 16
ms of CPU over an interpreter that imports `argparse` and `json`.
"""
MANY = 12
"""How many brief trials pay for the process that imports: it costs what 6 to 10 of them gain."""
_RECORDINGS = 3
"""How many trials of one worker record their imports at most."""
_SILENCE = 30.0
"""Seconds in which the first preloaded trial may do nothing at all, or longer if the plain trial
before it took longer.
"""
_PATIENCE = 60.0
"""Seconds that the imports may take, besides five times what the script took for them."""
_LOOK_EVERY = 1.0
_PAUSE = 10.0
"""A worker that was not awake for this many seconds was stopped itself."""


def is_worth_preloading(imports: ImportList) -> bool:
    """Whether a script imports so much that preloading pays off however long its trials take."""
    own = {*sys.stdlib_module_names, "modeldir"}
    return sum(name.partition(".")[0] not in own for name in imports.names) >= WORTH


def preloaded_text(modules: int) -> str:
    """Return what is printed once the modules are imported, or are about to be."""
    return (
        f"preloaded {modules} modules: later trials start without importing them again "
        "(turn off: --no-preload)"
    )


def recorded_again_text(what: str) -> str:
    """Return what is printed when the recorded list is of no use any more."""
    return f"preload: the environment {what}; the next trial records its imports again"


def not_preloaded_text(why: str) -> str:
    """Return what is printed when trials are not preloaded, or no longer."""
    return f"no preload: each trial imports its modules itself: {why}"


def silent_text(trial: str, seconds: float) -> str:
    return f"{trial} did nothing for {seconds:.0f} s, so modeldir ended it; it runs again"


def preview(
    folder: Path, command: tuple[str, ...], cwd: str, code: str | None, left: int | None
) -> str | None:
    """Return what a search with `left` trials to run would print, as far as it is known before."""
    if left == 1 or guards.command_objection(command) is not None:  # one alone is never preloaded
        return None
    saved = import_cache.find(folder, Script(script_of(command), cwd, code))
    if saved is None:
        return (
            "preload: modules that the first trial imports are loaded once, if that saves time "
            "(turn off: --no-preload)"
        )
    if _are_too_few(left, saved.learned):
        return None
    if saved.no_preload is not None:
        return not_preloaded_text(saved.no_preload)
    return preloaded_text(len(saved.learned.modules))


def _are_too_few(left: int | None, imports: ImportList) -> bool:
    """Whether preloading costs more than `left` trials gain, as far as their imports show."""
    return left is not None and left < MANY and not is_worth_preloading(imports)


def _fork_failed(folder: Path, attempt: int) -> bool:
    """Whether the record of an attempt says that it may have died because it was forked."""
    return attempts.read(folder, attempt).record.get(failure_classes.FORK_FAILED) is True


class Preloading:
    """Decides for one worker how its trials start.

    `message` receives what preloading does, and `warn` what it did to a trial. `left` counts the
    trials to run (None: there is no end), `code` returns a hash of the user's code.
    """

    def __init__(  # noqa: PLR0913 - what a worker has and this has not
        self,
        folder: Path,
        message: Callable[[str], None],
        left: Callable[[], int | None],
        code: Callable[[], str | None],
        *,
        variables: Mapping[str, str] | None = None,
        wanted: bool = True,
        warn: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._message, self._left, self._code = folder, message, left, code
        self._warn = warn or message
        self._variables, self._wanted, self._clock = variables or {}, wanted, clock
        self._is_off = not wanted
        self._launcher: launched.Launcher | None = None  # `uv run`, a shim
        self._before: tuple[str, ...] = ()  # its words in the command
        self._words: tuple[str, ...] = ()  # the command up to its script's name
        self._cwd = ""
        self._imports: ImportList | None = None  # worth preloading
        self._is_brief = False  # it is worth it because trials are short
        self._candidate: ImportList | None = None  # not worth it, unless trials prove short
        self._recorded: tuple[Script, str] | None = None  # whose imports, and its state then
        self._recording: Recording | None = None
        self._recordings = 0
        self._took = (0.0, 0.0)  # as in `SavedImports`
        self._process = ImportProcess(self._make_spawner, clock)
        self._is_announced = False
        self._probation = Probation()
        self._counted = 0.0
        self._awake = clock()
        self._running = 0

    # -- What a worker calls -----------------------------------------------------------------------

    @property
    def options(self) -> tuple[str, ...]:
        """The options of a command line that ask for the same."""
        return () if self._wanted else ("--no-preload",)

    def begin(
        self, command: tuple[str, ...], cwd: str, variables: Mapping[str, str] | None = None
    ) -> None:
        """Take the command of the trials to come, and what was recorded of it before.

        `variables` are those that all trials have besides the worker's.
        """
        if self._is_off:
            return
        self._variables = {**self._variables, **(variables or {})}
        launcher = launched.find(command, cwd)
        if launcher is None or not sys.platform.startswith("linux"):
            self._is_off = True
            return
        if not launched.is_plain(launcher, command):
            if self._left() == 1:
                self._is_off = True  # one alone is never preloaded
                return
            found = launched.see_through(launcher, command, cwd, self._environment())
            if isinstance(found, str):
                self._give_up(found)
                return
            self._launcher, self._before = found, command[: found.count]
        self._words, self._cwd = script_of(self._core(command)), cwd
        remove_old(self._folder / HOME)
        saved = import_cache.find(self._folder, self._script())
        if saved is None:
            return
        if saved.no_preload is None:
            self._recorded = (self._script(), saved.state)
            self._imports, self._took = saved.learned, saved.took
            self._is_brief = not is_worth_preloading(saved.learned)
        elif _are_too_few(self._left(), saved.learned):
            self._is_off = True  # preloading would not pay off either
        else:
            self._give_up(saved.no_preload)

    def choose(self, start: Start) -> tuple[Spawner | None, Start]:
        """Return how an attempt starts: the import process to fork it from, and its start.

        Without a process it is a plain command, perhaps the one that records its imports.
        """
        core = self._core(start.command)
        if self._is_off or script_of(core) != self._words:
            return None, start
        variables = start.variables
        if self._launcher is not None:
            if self._launcher.has_changed:
                self._give_up("the files by which its launcher chooses an environment have changed")
                return None, start
            variables = {**self._launcher.variables, **variables}
        if self._process.is_ready:
            if self._imports is not None and self._process.is_stale(self._imports):
                self._recordings = 0
                self._record_again("has changed")
            else:
                self._announce(self._process.modules)  # only now: while a script imports, it grows
                facts = {**start.facts, "preloaded": {"modules": self._process.modules}}
                return self._process.spawner, replace(
                    start,
                    forked=True,
                    by=core if self._launcher is not None else (),
                    variables=variables,
                    is_unproven=not self._probation.is_over,
                    facts=facts,
                )
        is_known = self._imports is not None or self._candidate is not None
        if self._recording is None and not is_known and self._recordings < _RECORDINGS:
            return None, self._record(replace(start, variables=variables), core)
        return None, start

    def started(self, supervisor: int, start: Start) -> None:
        if start.forked:
            self._probation.add(supervisor, start.folder, self._clock())
        elif start.by and self._recording is not None:
            self._recording.supervisor = supervisor

    def must_wait(self) -> bool:
        """Whether the next trial should wait: its imports are ready sooner than it would do them.

        A brief trial ends sooner than that.
        """
        if self._is_off:
            return False
        self._request()
        if self._is_brief:
            return False
        if self._process.is_importing:
            return True
        is_growing = self._recording is not None and not self._recording.has_settled
        return is_growing and self._process.spawner is not None

    def trial_ended(self, folder: Path, status: Status) -> None:
        """Note how an attempt ended; `pending`: it did not even begin."""
        path = os.path.abspath(folder)
        if self._recording is not None and path == self._recording.folder:
            self._read(self._recording)
            self._end_recording(self._recording, status.state)
        if self._candidate is not None and status.state in attempts.WITH_METRICS:
            self._check_brevity(self._candidate, status.duration)
        was_on_probation = self._probation.remove(path)
        if status.state == attempts.INTERRUPTED and _fork_failed(folder, status.attempt):
            printed = status.last_line if failure_classes.is_fork_error(status.last_line) else None
            why = f" {status.reason}" if printed is None else f" says: {printed}"
            self._give_up(trial_labels.title_of(folder) + why, tell=self._warn)
        elif was_on_probation and status.state not in attempts.UNFINISHED:
            self._probation.end()

    def check(self, running: int) -> list[PreloadSpawner]:
        """Deal with what has happened since the last call; return the import processes that died.

        Nothing reports the ends of their supervisors.
        """
        self._running = running
        self._notice_pause()
        if not self._is_off:
            if self._recording is not None:
                self._read(self._recording)
                if self._recording.has_died:
                    self._end_recording(self._recording, attempts.INTERRUPTED)
            self._hear()
            self._request()
            self._end_silent_trials()
        return self._process.take_lost()

    @property
    def spawners(self) -> list[PreloadSpawner]:
        return self._process.spawners

    @property
    def descriptors(self) -> list[int]:
        return self._process.descriptors

    @property
    def patience(self) -> float | None:
        """Seconds until the next `check`, although nothing becomes readable."""
        if self._is_off:
            return None
        if self._recording is not None:
            return _LOOK_EVERY if self._recording.is_quiet else 0.1
        return _LOOK_EVERY if self._probation or self._process.is_importing else None

    def lose(self, why: str = "the process that imports for them has died, or was killed") -> None:
        """Give up, for the import process is gone. Its supervisors continue, and report."""
        self._process.note_loss()
        self._give_up(why)

    def close(self) -> None:
        self._process.close()
        if self._recording is not None:
            self._recording.remove()

    # -- Recording ---------------------------------------------------------------------------------

    def _record(self, start: Start, core: tuple[str, ...]) -> Start:
        """Return the start of the trial that records its imports."""
        self._recording = Recording(self._folder, start, self._clock)
        self._recordings += 1
        script = self._script()
        self._recorded = (script, script.state)  # it may be another when the list is saved
        return self._recording.of(start, core)

    def _core(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return a command without its launcher; empty if it has another one."""
        if self._launcher is None:
            return command
        is_same = command[: len(self._before)] == self._before
        return self._launcher.core(command) if is_same else ()

    def _read(self, recording: Recording) -> None:
        if recording.is_void:
            return
        imports = recording.read()
        if imports is not None and is_worth_preloading(imports):
            self._imports = imports
            recording.note_growth()

    def _end_recording(self, recording: Recording, state: str) -> None:
        self._took = recording.seconds
        recording.remove()
        self._recording = None
        if recording.is_void:
            return
        if self._imports is None:  # it imports little, or failed before it could show more
            self._candidate = recording.imports if state in attempts.WITH_METRICS else None
            self._is_off = state in attempts.WITH_METRICS and self._candidate is None
        elif self._process.is_ready:
            self._save()
        self._counted = 0.0
        self._request()

    def _check_brevity(self, imports: ImportList, took: float | None) -> None:
        """Preload a script that imports little if a trial of it was brief.

        Each trial may show it: the first may have been slow on a busy machine or from a cold disk.
        """
        if took is not None and took <= BRIEF:
            self._imports, self._candidate = imports, None
            self._is_brief, self._took = True, (0.0, took)
            self._request()

    def _record_again(self, what: str) -> None:
        self._message(recorded_again_text(what))
        self._process.dismiss()
        self._imports, self._is_brief = None, False
        if self._recording is not None:
            self._recording.is_void = True

    def _save(self, no_preload: str | None = None) -> None:
        """Save the list for the next search, perhaps with the reason why it must not be used."""
        if self._imports is not None and self._recorded is not None:
            script, state = self._recorded
            saved = SavedImports(script.words, state, self._imports, self._took, no_preload)
            import_cache.save(self._folder, script, saved)

    def _script(self) -> Script:
        return Script(self._words, self._cwd, self._code())

    # -- Importing ahead ---------------------------------------------------------------------------

    def _request(self) -> None:
        imports = self._imports
        if self._is_off or imports is None or self._process.is_importing:
            return
        if len(imports.modules) <= self._process.requested:
            return
        why = guards.command_objection(self._words, imports)
        if why is not None:
            self._give_up(why, save=True)
        elif self._process.spawner is not None or self._pays_off():
            self._have_imported(imports)

    def _pays_off(self) -> bool:
        """Whether an import process would be of use by now. Counted once a second at most."""
        now = self._clock()
        if self._recording is not None and self._running >= cpus.usable():
            return False
        if now < self._counted + _LOOK_EVERY:
            return False
        self._counted = now
        left = self._left()
        if left is None:
            return True
        return left >= (MANY if self._is_brief else 1 if self._recording is not None else 2)

    def _have_imported(self, imports: ImportList) -> None:
        took = self._took[0] if self._recording is None else self._recording.seconds[1]
        if self._recordings == 0 and not self._is_brief:
            # Known from an earlier search: nothing runs while the first trial waits for it.
            self._announce(len(imports.modules))
        try:
            self._process.request(imports, _PATIENCE + 5 * took)
        except OSError:
            self.lose()

    def _announce(self, modules: int) -> None:
        if not self._is_announced:
            self._message(preloaded_text(modules))
            self._is_announced = True

    def _make_spawner(self) -> PreloadSpawner:
        from modeldir.worker.preload.spawner import PreloadSpawner  # noqa: PLC0415 - seldom needed

        added = {} if self._launcher is None else self._launcher.variables
        environment = {**self._environment(), **added}
        return PreloadSpawner(interpreter_of(self._words), environment, self._cwd)

    def _environment(self) -> dict[str, str]:
        """Return the environment that the commands of all trials start with."""
        return {**os.environ, "PYTHONUNBUFFERED": "1", **self._variables}

    def _hear(self) -> None:
        try:
            answer = self._process.answer()
        except OSError:
            self.lose()
            return
        if answer is None:
            if self._process.is_late:
                patience = self._process.patience
                self._process.kill()
                self.lose(f"to import it took longer than {patience:.0f} s")
        elif answer.is_foreign:
            if self._recordings < _RECORDINGS:
                self._record_again("differs from the recorded one")
            else:
                self._give_up("what is installed changes again and again")
        elif answer.objection is not None:
            self._give_up(answer.objection, save=True)
        else:
            self._process.modules = answer.modules
            if self._recording is None:
                self._save()

    # -- Giving up ---------------------------------------------------------------------------------

    def _give_up(
        self, why: str, *, save: bool = False, tell: Callable[[str], None] | None = None
    ) -> None:
        """Preload nothing from now on. With `save` the next search knows the reason at once."""
        if self._is_off:
            return
        self._is_off = True
        (tell or self._message)(not_preloaded_text(why))
        if save:
            self._save(why)
        self._process.dismiss()

    def _notice_pause(self) -> None:
        """Give all that are waited for their time again if this worker was stopped itself."""
        now = self._clock()
        if now - self._awake > _PAUSE:
            self._process.restart_clock()
            self._probation.restart_clock(now)
        self._awake = now

    def _end_silent_trials(self) -> None:
        """End a preloaded trial that does nothing at all: it may wait for a lock that was held at
        the fork.

        It runs again as a plain command.
        """
        silence = max(_SILENCE, self._took[1])
        for trial in self._probation.silent(self._clock(), silence):
            name = trial_labels.title_of(trial.folder)
            self._give_up(silent_text(name, silence), tell=self._warn)
            trial.end()
