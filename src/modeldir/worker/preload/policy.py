"""Whether the trials of a search begin warm: with what their script imports, imported once for all.

It knows when to learn (the first trial notes its imports), when to have them imported ahead (while
that one still runs, if a core is free), how long the others wait for it, and when to fall back:
then trials run cold, as they did before, and why is told once. It refuses to know how one is begun
(warmspawner.py), what may be forked (warm/guards.py), and when a fork hangs (unproven.py). Nothing
depends on it: a trial that was lost with it is interrupted, and runs again, cold.

What was learned is kept (keptimports.py): the next search of the same script is warm from its first
trial, while the command, the code and the environment are what they were.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modeldir._system import cpus, files, processes
from modeldir.experiment import attempts, failures
from modeldir.experiment.attempts import HOME
from modeldir.worker.preload import guards, import_cache, imports
from modeldir.worker.preload.command_line import parse
from modeldir.worker.preload.import_cache import Kept, Script
from modeldir.worker.preload.probation import Unproven

if TYPE_CHECKING:
    from modeldir.experiment.experiment import Status
    from modeldir.worker.messages import Start
    from modeldir.worker.preload.imports import Learned, Report
    from modeldir.worker.preload.spawner import WarmSpawner
    from modeldir.worker.spawner import Spawner

WORTH = 60
"""Installed modules that a script has to import. NumPy has 84 (0.1 s), PyTorch 800 (1.6 s); what
comes with Python, and modeldir itself, is imported in a few hundredths of a second.
"""
BRIEF = 0.2
"""Seconds of a trial as a whole within which it gains about a tenth and more, whatever it imports:
a fork saves 16 ms of CPU over an interpreter that imports `argparse` and `json`.
"""
MANY = 12
"""Such trials to come that pay back the process that imports: it costs as much as 6 to 10 gain."""
_LESSONS = 3
_QUIET = (0.5, 5.0)
"""Seconds without a further import, at least and at most, after which a script has its imports."""
_SILENCE = 30.0
"""Seconds in which the first warm trial may do nothing at all, where the one that ran cold did not
take longer as a whole.
"""
_PATIENCE = 60.0
"""Seconds that an import ahead may take, and five times as long as the script took for it."""
_LOOK_EVERY = 1.0
_LOOK_PART = 100
"""To look whether a library was edited takes a hundredth of the time: it may lie far away."""
_OLD = 86400.0
"""Seconds after which a list that nobody has taken away is that of a worker that was killed."""
_PAUSE = 10.0


def is_worth(learned: Learned) -> bool:
    """Whether a script imports so much that to have it imported is worth a process, however long
    its trials take.
    """
    own = {*sys.stdlib_module_names, "modeldir"}
    return sum(name.partition(".")[0] not in own for name in learned.names) >= WORTH


def has_settled(began: float, grew: float, now: float) -> bool:
    """Whether a script that `grew` last by an import seems to have all of them."""
    least, most = _QUIET
    return now - grew >= min(most, max(least, 0.2 * (grew - began)))


def ready_text(modules: int) -> str:
    """What is told once the imports are there, or will be, since they were before."""
    return f"warm: {modules} modules are imported once for all trials (--cold: by each)"


def anew_text(what: str) -> str:
    """What is told where the list is of no use any more."""
    return f"warm: the environment {what}: the next trial shows what is imported now"


def _fork_failed(folder: Path, attempt: int) -> bool:
    """Whether the record of an attempt says that it may have died because it was forked."""
    return attempts.read(folder, attempt).record.get(failures.FORK_FAILED) is True


def cold_text(why: str) -> str:
    """What is told where they are not, or no more."""
    return f"cold: each trial imports for itself: {why}"


def ahead_text(
    folder: Path, command: tuple[str, ...], cwd: str, code: str | None, left: int | None
) -> str | None:
    """What a search with so many trials to come would do, as far as that is known before."""
    if left == 1 or guards.refusal(command) is not None:  # one alone imports for itself
        return None
    kept = import_cache.find(folder, Script(_script_of(command), cwd, code))
    if kept is not None and _are_few(left, kept.learned):
        return None
    if kept is not None and kept.cold is not None:
        return cold_text(kept.cold)
    if kept is not None:
        return ready_text(len(kept.learned.modules))
    return (
        "warm: what the first trial imports is imported once, if that saves time (--cold: by each)"
    )


def _are_few(left: int | None, learned: Learned) -> bool:
    """Whether so many trials to come gain less than it costs, as far as their imports tell."""
    return left is not None and left < MANY and not is_worth(learned)


class _Lesson:
    """A trial that notes its imports in a report. `is_void`: something was installed meanwhile."""

    def __init__(self, report: Report, folder: str, began: float) -> None:
        self.report, self.folder = report, folder
        self.began = self.grew = began
        self.supervisor = 0
        self.learned: Learned | None = None
        self.is_void = False


class _Import:
    """What was asked of the process that imports: so many modules, when, whose files were as
    `stamp` tells.
    """

    def __init__(
        self,
        modules: int = 0,
        stamp: int = 0,
        asked: float = 0.0,
        *,
        is_open: bool = False,
        patience: float = _PATIENCE,
    ) -> None:
        self.modules, self.stamp, self.asked = modules, stamp, asked
        self.is_open, self.patience = is_open, patience


class Warmth:
    """The warmth of one worker. `folder` is the search's; `tell` says something to the user;
    `variables` are added to the environment of all its trials; `left` counts the trials to come,
    None where there is no end; `code` tells the state of the user's own code.
    """

    def __init__(  # noqa: PLR0913 - what a worker has that it has not
        self,
        folder: Path,
        tell: Callable[[str], None],
        left: Callable[[], int | None],
        code: Callable[[], str | None],
        *,
        variables: Mapping[str, str] | None = None,
        wanted: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.tell, self.left, self.code = folder, tell, left, code
        self.variables, self.wanted, self.clock = variables or {}, wanted, clock
        self._is_cold = not wanted
        self._words: tuple[str, ...] = ()  # of the command, up to its script's name
        self._of: tuple[Script, str] | None = None  # what the list is of, and its state then
        self._learned: Learned | None = None
        self._is_brief = False  # worth it since trials are short, not by what they import
        self._little: Learned | None = None  # what they import, where it is not worth it (yet)
        self._lesson: _Lesson | None = None
        self._lessons = 0
        self._took = (0.0, 0.0)  # as `Kept` has it
        self._cwd = ""
        self._parent: WarmSpawner | None = None
        self._old: list[WarmSpawner] = []
        self._import = _Import()
        self._modules = 0  # that are there
        self._is_told = False
        self._unproven = Unproven()
        self._counted = self._compare_at = 0.0
        self._awake = self.clock()
        self._running = 0
        self._lost: list[WarmSpawner] = []

    # -- What a worker asks ------------------------------------------------------------------------

    @property
    def options(self) -> tuple[str, ...]:
        """What of a command line says so."""
        return () if self.wanted else ("--cold",)

    def begin(self, command: tuple[str, ...], cwd: str) -> None:
        """Know the command of the trials to come; take up what was kept of it."""
        if self._is_cold:
            return
        invocation = parse(command)
        if invocation is None or guards.refusal(command) is not None:
            self._is_cold = True
            return
        self._words, self._cwd = _script_of(command), cwd
        _tidy(self.folder / HOME)
        kept = import_cache.find(self.folder, self._script())
        if kept is None:
            return
        if kept.cold is not None:
            if _are_few(self.left(), kept.learned):
                self._is_cold = True  # it would be all the same
            else:
                self._cool(kept.cold)
        else:
            self._of = (self._script(), kept.state)
            self._learned, self._took = kept.learned, kept.took
            self._is_brief = not is_worth(kept.learned)

    def way(self, start: Start) -> tuple[Spawner | None, Start]:
        """How an attempt is to begin: by a warm spawner, where one is given; else cold, and it may
        be the one that notes its imports.
        """
        if self._is_cold or _script_of(start.command) != self._words:
            return None, start
        if self._parent is not None and self._modules and not self._import.is_open:
            if self._has_changed():
                self._lessons = 0
                self._learn_anew("has changed")
            else:
                self._tell_ready(self._modules)  # only now: while a script imports, it grows
                facts = {**start.facts, "warm": {"modules": self._modules}}
                return self._parent, replace(
                    start, forked=True, is_unproven=not self._unproven.is_over, facts=facts
                )
        is_known = self._learned is not None or self._little is not None
        if self._lesson is None and not is_known and self._lessons < _LESSONS:
            return None, self._taught(start)
        return None, start

    def started(self, supervisor: int, start: Start) -> None:
        """An attempt was given to this supervisor."""
        if start.forked:
            self._unproven.began(supervisor, start.folder, self.clock())
        elif start.by and self._lesson is not None:
            self._lesson.supervisor = supervisor

    def holds_back(self) -> bool:
        """Whether the next trial should wait: what it imports is there sooner than it would import
        it itself. A brief one has ended sooner.
        """
        if self._is_cold:
            return False
        self._ask()
        if self._is_brief:
            return False
        if self._import.is_open:
            return True
        lesson = self._lesson
        growing = lesson is not None and not has_settled(lesson.began, lesson.grew, self.clock())
        return growing and self._parent is not None

    def landed(self, folder: Path, status: Status) -> None:
        """An attempt has ended; `waiting`: it did not even begin."""
        path = os.path.abspath(folder)
        lesson = self._lesson
        if lesson is not None and path == lesson.folder:
            self._learn(lesson)
            self._end_lesson(lesson, status.state)
        if self._little is not None and status.state in attempts.WITH_METRICS:
            self._notice_a_brief_one(self._little, status.duration)
        was_unproven = self._unproven.forget(path)
        if status.state == attempts.INTERRUPTED and _fork_failed(folder, status.attempt):
            says = status.last_line if failures.is_fork_error(status.last_line) else None
            self._cool(
                f"{folder.name} {status.reason}" if says is None else f"{folder.name} says: {says}"
            )
        elif was_unproven and status.state not in attempts.UNFINISHED:
            self._unproven.prove()

    def look(self, running: int) -> list[WarmSpawner]:
        """Deal with what has happened since the last look; `running` are all trials of ours. Those
        that were lost: of their supervisors nobody tells any more.
        """
        self._running = running
        self._notice_a_pause()
        if not self._is_cold:
            self._attend()
            self._hear()
            self._ask()
            self._look_at_the_first()
        lost, self._lost = self._lost, []
        return lost

    # -- What a worker listens to ------------------------------------------------------------------

    @property
    def spawners(self) -> list[WarmSpawner]:
        """All whose supervisors may still report."""
        there = [*self._old, *([self._parent] if self._parent is not None else [])]
        return [each for each in there if not each.is_over]

    @property
    def lines(self) -> list[int]:
        """Descriptors that become readable when there is something to look at."""
        line = [self._parent.line] if self._parent is not None else []
        return [*(each.reports for each in self.spawners), *line]

    @property
    def patience(self) -> float | None:
        """Seconds until the next look."""
        if self._is_cold:
            return None
        if self._lesson is not None:
            quiet = self.clock() - self._lesson.grew > _QUIET[1]
            return _LOOK_EVERY if quiet else 0.1
        return _LOOK_EVERY if self._unproven or self._import.is_open else None

    def lose(self, why: str = "the process that imports for them has died, or was killed") -> None:
        """It is no more; its supervisors go on, and report."""
        if self._parent is not None:
            self._lost.append(self._parent)
        self._cool(why)

    def close(self) -> None:
        """Let all leave, at once what is in the midst of an import."""
        if self._parent is not None and self._import.is_open:
            self._parent.kill()
        for each in (*self._old, *([self._parent] if self._parent is not None else [])):
            each.close()
        self._parent, self._old = None, []
        if self._lesson is not None:
            _remove(self._lesson.report.path)

    # -- Learning ----------------------------------------------------------------------------------

    def _taught(self, start: Start) -> Start:
        """The start of the trial that notes its imports."""
        invocation = parse(start.command)
        assert invocation is not None  # its script is the one that we know
        # By chance: workers on two hosts may have one host name and one process number.
        name = f"imports.{os.urandom(8).hex()}"
        report = str(files.absolute(self.folder) / HOME / name)
        _remove(report)
        self._lesson = _Lesson(imports.Report(report), start.folder, self.clock())
        self._lessons += 1
        script = self._script()
        self._of = (script, script.state)  # when the list is kept it may be another
        return replace(start, by=invocation.through_learning(report))

    def _attend(self) -> None:
        lesson = self._lesson
        if lesson is None:
            return
        self._learn(lesson)
        if lesson.supervisor and processes.process(lesson.supervisor) is None:
            self._end_lesson(lesson, attempts.INTERRUPTED)

    def _learn(self, lesson: _Lesson) -> None:
        """Read on in what a trial has noted."""
        if lesson.is_void:
            return
        learned = lesson.report.learned()
        if learned is None:
            return
        lesson.learned = learned
        if is_worth(learned):
            self._learned, lesson.grew = learned, self.clock()

    def _end_lesson(self, lesson: _Lesson, state: str) -> None:
        self._took = (lesson.grew - lesson.began, self.clock() - lesson.began)
        _remove(lesson.report.path)
        self._lesson = None
        if lesson.is_void:
            return
        if self._learned is None:  # it imports little, or broke before it could show more
            self._little = lesson.learned if state in attempts.WITH_METRICS else None
            self._is_cold = state in attempts.WITH_METRICS and self._little is None
        elif self._modules and not self._import.is_open:
            self._keep()
        self._counted = 0.0
        self._ask()

    def _notice_a_brief_one(self, learned: Learned, took: float | None) -> None:
        """One that imports little has gone well: whether such trials are worth it. Not the first
        alone tells: on a busy machine, or from a cold disk, it may have taken long.
        """
        if took is not None and took <= BRIEF:
            self._learned, self._little = learned, None
            self._is_brief, self._took = True, (0.0, took)
            self._ask()

    def _learn_anew(self, what: str) -> None:
        self.tell(anew_text(what))
        self._dismiss()
        self._learned, self._is_brief = None, False
        if self._lesson is not None:
            self._lesson.is_void = True

    def _has_changed(self) -> bool:
        """Whether something was installed since, or a file was edited that was imported."""
        learned, now = self._learned, self.clock()
        if learned is None:
            return False
        if not learned.is_current():
            return True
        if now < self._compare_at:
            return False
        is_other = learned.stamp() != self._import.stamp
        self._compare_at = now + max(_LOOK_EVERY, _LOOK_PART * (self.clock() - now))
        return is_other

    def _keep(self, cold: str | None = None) -> None:
        if self._learned is not None and self._of is not None:
            script, state = self._of
            kept = Kept(script.words, state, self._learned, self._took, cold)
            import_cache.keep(self.folder, script, kept)

    def _script(self) -> Script:
        """The script with its code as it is now."""
        return Script(self._words, self._cwd, self.code())

    # -- Importing ahead ---------------------------------------------------------------------------

    def _ask(self) -> None:
        """Have imported what is known, and not there."""
        learned = self._learned
        if self._is_cold or learned is None or self._import.is_open:
            return
        if len(learned.modules) <= self._import.modules:
            return
        why = guards.refusal(self._words, learned)
        if why is not None:
            self._cool(why, keep=True)
        elif self._parent is not None or self._may_begin():
            self._have_imported(learned)

    def _may_begin(self) -> bool:
        """Whether a process that imports would be of use by now. Counted once a second at most."""
        now = self.clock()
        if self._lesson is not None and self._running >= cpus.usable():
            return False
        if now < self._counted + _LOOK_EVERY:
            return False
        self._counted = now
        left = self.left()
        if left is None:
            return True
        return left >= (MANY if self._is_brief else 1 if self._lesson is not None else 2)

    def _have_imported(self, learned: Learned) -> None:
        lesson, now = self._lesson, self.clock()
        took = self._took[0] if lesson is None else now - lesson.began
        patience = _PATIENCE + 5 * took
        self._import = _Import(
            len(learned.modules), learned.stamp(), now, is_open=True, patience=patience
        )
        is_waited_for = self._lessons == 0 and not self._is_brief
        if is_waited_for:  # known from before: nothing runs while the first trial waits
            self._tell_ready(len(learned.modules))
        try:
            self._parent = self._parent or self._made()
            self._parent.ask(learned)
        except OSError:
            self.lose()

    def _tell_ready(self, modules: int) -> None:
        if not self._is_told:
            self.tell(ready_text(modules))
            self._is_told = True

    def _made(self) -> WarmSpawner:
        from modeldir.worker.preload.spawner import WarmSpawner  # noqa: PLC0415 - most searches need none

        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **self.variables}
        return WarmSpawner(_interpreter_of(self._words), environment, self._cwd)

    def _hear(self) -> None:
        """What has become of the imports."""
        if self._parent is None:
            return
        try:
            answer = self._parent.answer()
        except OSError:
            self.lose()
            return
        if answer is None:
            late = self.clock() - self._import.asked
            if self._import.is_open and late > self._import.patience:
                self._parent.kill()
                self.lose(f"to import it took longer than {self._import.patience:.0f} s")
            return
        self._import.is_open = False
        if answer.is_foreign:
            if self._lessons < _LESSONS:
                self._learn_anew("is another than it was")
            else:
                self._cool("what is installed changes again and again")
            return
        if answer.objection is not None:
            self._cool(answer.objection, keep=True)
            return
        self._modules = answer.modules
        if self._lesson is None:
            self._keep()

    # -- Falling back ------------------------------------------------------------------------------

    def _cool(self, why: str, *, keep: bool = False) -> None:
        """From now on cold; with `keep` the next command knows it at once."""
        if self._is_cold:
            return
        self._is_cold = True
        self.tell(cold_text(why))
        if keep:
            self._keep(why)
        self._dismiss()

    def _dismiss(self) -> None:
        if self._parent is not None:
            self._parent.dismiss()
            self._old.append(self._parent)
        self._parent, self._import, self._modules = None, _Import(), 0

    def _notice_a_pause(self) -> None:
        """Where this process was stopped itself (by a scheduler), those that it waits for may
        have been, too: their time begins anew.
        """
        now = self.clock()
        if now - self._awake > _PAUSE:
            self._import.asked = now
            self._unproven.begin_anew(now)
        self._awake = now

    def _look_at_the_first(self) -> None:
        """End a warm trial that does nothing at all, as one does that hangs on a lock which was
        held when it was forked. It runs again, cold.
        """
        silence = max(_SILENCE, self._took[1])
        for watched in self._unproven.silent(self.clock(), silence):
            name = watched.folder.name
            self._cool(f"{name} did nothing for {silence:.0f} s; it is ended, and runs again")
            watched.end()


def _script_of(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command up to its script's name; nothing where it has none."""
    invocation = parse(command)
    if invocation is None:
        return ()
    module = ("-m",) if invocation.is_module else ()
    return (invocation.interpreter, *invocation.flags, *module, invocation.script)


def _interpreter_of(script: tuple[str, ...]) -> tuple[str, ...]:
    invocation = parse(script)
    assert invocation is not None
    return (invocation.interpreter, *invocation.flags)


def _tidy(home: Path) -> None:
    """Remove what killed workers have left: by age, since those of other hosts cannot be seen."""
    for path in home.glob("imports.*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                _remove(str(path))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
