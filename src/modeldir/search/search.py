"""A search: a folder with base hyperparameters and a plan, whose subfolders are trials.

It knows the plan, which trial comes next (`next_trial`) and which is best. Any process that sees
the folder may ask; there is no master. It refuses to start processes (worker.py does) and to
propose hyperparameters (samplers do).

Three doors lead here: the command `modeldir search`, `Search(...).run("python train.py")`, and the
loop `for trial in Search(...)`. All keep the same files.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modeldir import pruners, samplers, space
from modeldir._system import files, heartbeat
from modeldir._system.shell import quoted
from modeldir._system.stamps import stamp
from modeldir.errors import (
    MetricsError,
    SearchError,
    SpaceError,
    did_you_mean,
)
from modeldir.experiment import attempts, discovery, experiment, failures
from modeldir.metrics import metrics, objective
from modeldir.params import plain_values
from modeldir.pruners import rungs
from modeldir.pruners.judge import Judge, Orders
from modeldir.search import checks, code_state, inheritance, membership, observation_stream, plan
from modeldir.search import other_folders as elsewhere
from modeldir.search.observation_sources import teach
from modeldir.search.observations import Telling
from modeldir.search.ranking import RANKED, Best, Results
from modeldir.search.trial_record import TrialRecord, Turn
from modeldir.search.trials import HOME, Trials, check_names

if TYPE_CHECKING:
    from modeldir.search.loop import Trial


_PATIENCE, _SHORT_PATIENCE = 10.0, 0.25
"""Seconds to wait for the search's lock: at first, and where it was not to be had before."""
_DEADLY = 3
"""Attempts in a row without an end after which a trial waits until all others have run."""


_Folders: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None"


class Search:
    """The search in a folder.

    Args:
        path: the folder; it holds `params.json`, the base hyperparameters.
        space: what varies: `{"learning_rate": [0.1, 0.01]}`, `{"dropout": {"uniform": [0, 0.5]}}`,
            or by the words of `modeldir.space`: `space.uniform(0, 0.5, step=0.1)`.
            Without it the plan that is there goes on; values given again are joined with it.
        zip: names whose lists go together: `[["batch_size", "learning_rate"]]`.
        points: points to try first, `[{"learning_rate": 0.01}]`, names that they leave out are
            sampled; or a CSV file of them, `"@points.csv"`.
        constraints: what must hold for each trial: `["batch_size * accumulate <= 512"]`.
            It, `zip` and `points` are added to the plan's; "none" takes them out.
        when: conditions, as `space` may have them too: `{"momentum": {"optimizer": ["sgd"]}}`.
        maximize: the metric to rank by; by default accuracy, then f1, then loss. Or several, as a
            list, and with `minimize`: then the Pareto front is looked for.
        minimize: as `maximize`, for a metric that should be low.
        sampler: one of `modeldir.samplers.NAMES`, "package.module:Class", or with its options
            `{"tpe": {"startup": 20}}`; by default a grid where every domain is a list and all of
            it is wanted, else `"auto"`.
        trials: how many trials in all; with `repeats` how many points.
        seed: of the sampler; a trial's chance depends on it and on the trial's number alone.
        repeats: how often each point is run, with a value of the hyperparameter `seed` each.
        learn_from: folders whose experiments teach the sampler; from here, as they are typed.
        reuse: folders whose experiments count as done: what was completed there is not run again.
            It and `learn_from` are added to the plan's; "none" takes them out.
        command: what runs a trial: `"python train.py --data_dir data"`.
        read: a printed line to take metrics from: `"val acc: {accuracy}"`.
        resume: arguments that make an interrupted trial go on: `"--restore_file last"`.
        trial_time_limit: seconds, or "30m": a trial that takes longer is ended, and has failed.
            It, `pruner`, `retries` and `stop_at` are kept in the plan; "none" takes them out.
        pruner: what ends trials early that promise little: `"asha"`, `"hyperband"`, `"median"`,
            with options `{"asha": {"min_step": 1, "reduction_factor": 3}}`, or your own class.
        retries: how often a trial that failed is run again.
        stop_at: a value of the metric: once a trial has reached it no more are started.
        note: what you want to remember: each trial that is made from now on keeps it.
        rebase: go on although the base hyperparameters changed since trials were made.

    Raises:
        SearchError: when the plan or the folder cannot be searched; every problem at once.
        ParamsError: when the base or the plan cannot be read.
    """

    def __init__(  # noqa: PLR0913 - the keys of a plan
        self,
        path: str | os.PathLike[str],
        space: Mapping[str, Any] | None = None,
        *,
        zip: Iterable[Sequence[str]] | Literal["none"] | None = None,  # noqa: A002 - the plan's word
        points: Iterable[Mapping[str, Any]] | str | os.PathLike[str] | None = None,
        constraints: Iterable[str] | Literal["none"] | None = None,
        when: Mapping[str, Mapping[str, Any] | None] | None = None,
        maximize: str | Sequence[str] | None = None,
        minimize: str | Sequence[str] | None = None,
        sampler: str | Mapping[str, Any] | None = None,
        trials: int | None = None,
        seed: int | None = None,
        repeats: int | None = None,
        learn_from: _Folders = None,
        reuse: _Folders = None,
        command: str | Sequence[str] | None = None,
        read: str | None = None,
        resume: str | None = None,
        pruner: str | Mapping[str, Mapping[str, Any]] | None = None,
        trial_time_limit: str | float | None = None,
        retries: int | Literal["none"] | None = None,
        stop_at: float | Literal["none"] | None = None,
        note: str | None = None,
        rebase: bool = False,
    ) -> None:
        self.path = Path(path)
        self._whole_path = os.path.abspath(path)
        self._file = os.path.join(path, plan.FILE)
        points = os.fspath(points) if isinstance(points, os.PathLike) else points
        self._given = {
            "space": dict(space or {}),
            "zip": _listed(zip),
            "points": [points] if isinstance(points, Mapping) else _listed(points),
            "constraints": [constraints] if _is_one(constraints) else _listed(constraints),
            "when": dict(when or {}),
            "maximize": objective.written(maximize),
            "minimize": objective.written(minimize),
            "sampler": sampler,
            "trials": trials,
            "seed": seed,
            "repeats": repeats,
            "learn_from": _folders(learn_from, self.path),
            "reuse": _folders(reuse, self.path),
            "command": command if command is None or isinstance(command, str) else _line(command),
            "read": read,
            "resume": resume,
            "pruner": pruner if pruner is None or isinstance(pruner, str) else dict(pruner),
            "trial_time_limit": trial_time_limit,
            "retries": retries,
            "stop_at": stop_at,
            "note": note,
        }
        if plan.is_file(points):
            self._given = self._with_points(self._given)
        self._rebase = rebase
        # A plan that is there as it is may only be looked at, where its sampler is not installed.
        self._is_given = any(self._given.values())
        self.changes: list[str] = []
        self._surroundings = code_state.Surroundings()
        self.observer = heartbeat.Observer()
        self._patience = _PATIENCE
        self._has_home = False
        self._load(self._given)

    def _with_points(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, with the points that a CSV file holds."""
        there, base = plan.read_plan(self.path), plan.base_of(self.path)
        return plan.with_points(given, there, base, Path())

    def _load(self, given: Mapping[str, Any]) -> None:
        """Read the base and the plan, with what was given on top; check both; start afresh."""
        self.base = plan.base_of(self.path)
        self._flat_base = plain_values.flatten(self.base)
        written = plan.read_plan(self.path)
        if not written:
            checks.check_untrained(self.path)
        raw, changes = plan.joined(written, given)
        self.plan = self._checked(raw, written)
        self.changes += changes
        self._read_from = stamp(self._file)
        if written.get("auto") != self.plan.written.get("auto"):
            self.changes += self.by_auto()
        names = (*self.plan.space.domains, *([plan.SEED] if self.plan.repeats > 1 else []))
        self.trials = Trials(
            self.path, names, self._ignored, decided=self._decided, observer=self.observer
        )
        self._begin_telling()
        self._judged = 0  # so many ends are known to `reached`
        self._settings: dict[int, tuple[int, dict[str, Any]]] = {}  # of failed attempts
        self._reached: float | None = None
        self._numbered = False
        self._ahead: Turn | None = None
        self._asked: set[int] | None = None

    def _begin_telling(self, known: Iterable[TrialRecord] = ()) -> None:
        """A sampler for the plan as it is now; what there is is told to it by and by, and what was
        `known` of those whose folders are gone: this worker does not make them again.
        """
        self._queue = space.Queue(self.plan.space, self.plan.seed)
        self._telling = Telling(
            self.plan, self._flat_base, self.trials, self._make_sampler, self._queue
        )
        self._taught: list[str] | None = None
        there = (*known, *self.trials, *self.trials.aside())
        for record in {record.number: record for record in there}.values():
            self._telling.take(record)

    def _make_sampler(self) -> samplers.Sampler:
        found = self.plan
        try:
            return samplers.make(
                found.sampler, found.space, found.seed, found.objectives, **found.options
            )
        except SpaceError as error:
            raise SearchError(f"{self.path}: {error}") from None

    def _decided(self, flat: Mapping[str, Any]) -> dict[str, Any] | None:
        """The point of a folder that says none."""
        point = self.plan.space.decided(flat)
        if point is None or self.plan.repeats <= 1 or plan.SEED not in flat:
            return point
        return {**point, plan.SEED: flat[plan.SEED]}

    def __repr__(self) -> str:
        return f"Search({str(self.path)!r})"

    def _checked(
        self, raw: Mapping[str, Any], written: Mapping[str, Any] | None = None
    ) -> plan.Plan:
        """The raw plan, checked, with the settings of the project that its command belongs to.

        Where the plan as it is `written` is well, what was given with it cannot be searched.
        """
        project = plan.read_project(self._project_folder(raw.get("cwd")))
        self._ignored = frozenset(project.get("ignore", ()))
        where = str(self.path / plan.FILE)
        try:
            return plan.check(raw, self.base, where, project, to_run=self._is_given)
        except SearchError:
            if written is None or written == raw:
                raise
        if written:
            plan.check(written, self.base, where, project)
        return plan.check(
            raw, self.base, where, project, f"{self.path} cannot be searched as asked:"
        )

    # -- The plan ----------------------------------------------------------------------------------

    def to_come(self) -> int | None:
        """How many trials the plan still lacks; None where it has no end."""
        total = plan.total(self.plan)
        if total is None:
            return None
        self._telling.learn()  # of what others have made since
        made = self._telling.within - self._telling.imagined
        if plan.is_over(self.plan, len(made)) and not self._has_open():
            return 0
        elsewhere = self._telling.done_elsewhere() if self.plan.trials is None else 0
        return max(0, total - len(made) - elsewhere)

    def _has_open(self) -> bool:
        """Whether a trial runs, or is to run."""
        left = map(self.trials.status, self.trials.unfinished())
        return any(status.state in attempts.OPEN for status in left)

    def done_elsewhere(self) -> int:
        """How many trials need not be made, since a folder that is reused has them."""
        return self._telling.done_elsewhere()

    def points_made(self) -> int:
        """How many points of the plan have trials; without repeats each trial is one."""
        return self._telling.count()

    def by_auto(self) -> list[str]:
        """Which sampler `auto` has chosen and why, in words; nothing where somebody named one."""
        auto = self.plan.auto
        return [] if auto is None else [f"sampler {self.plan.sampler}, by auto: {auto}"]

    def taught(self) -> list[str]:
        """What the other folders of the plan have given so far, in words."""
        return list(self._taught or ())

    def prepare(self, command: str | None = None, *, typed: bool = True) -> list[str]:
        """Check what must hold before anything starts, and write the plan. Returns news to print.

        A command that was `typed` just now runs from here, one that the plan had where it ran.

        Raises:
            SearchError: when the base changed since trials were made, or names would be too long.
            CommandError: when the command cannot run a trial.
        """
        news = [f"plan: {change}" for change in self.changes]
        news += self._take(command, typed=typed) if command is not None else []
        self._look()
        self._check_metric()
        news += checks.failed_by_name(self.path, self.plan, self.trials)
        news += self._taught or []
        news += self._check_base()
        news += checks.code_has_changed(self.trials, self.code)
        with self._alone():
            if self._has_grown():  # by another command, since we read it
                self._load(self._given)
                self._look()
                if command is not None:
                    self._take(command, typed=typed)
            fits = space.names_fit(self.plan.space)
            self._numbered = check_names(self.path, self.trials, fits=fits)
            for record in self.trials:
                self.trials.mend(record)
            self._fill_rungs()
            self._write()
        return news

    def _take(self, command: str, *, typed: bool) -> list[str]:
        """Make a command the plan's. Returns what is new about it."""
        before = self.plan.written
        if typed or "cwd" not in before or before.get("command") != command:
            self._amend({"command": command, "cwd": os.path.relpath(_here(), self.path)})
        plan.check_command(command, self._example(), self.working_folder())
        now = self.plan.written
        news = [
            f"plan: {key}: {before[key]} -> {now[key]}"
            for key in ("command", "cwd")
            if key in before and before[key] != now[key]
        ]
        return [*news, *filter(None, [plan.other_python(command, self.working_folder())])]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the search's lock: workers take turns at what would otherwise be done twice."""
        if not self._has_home:
            (self.path / HOME).mkdir(exist_ok=True)
            self._has_home = True
        with files.locked(os.path.join(self.path, HOME, "lock"), patience=self._patience) as got:
            # Who held it on a host that died may hold it for ever: that costs time only once.
            self._patience = _PATIENCE if got else _SHORT_PATIENCE
            yield

    def _look(self) -> None:
        """Take in all trials that are there, and tell the sampler of them."""
        self.trials.refresh()
        self.trials.adopt()
        self._tell_sampler()
        self.forget_values()

    def forget_values(self) -> None:
        """Compare no trial with one that was removed, or is of another base; one that has come back
        counts again.
        """
        if self.plan.pruner is not None:
            foreign = membership.foreign(self.plan, self._flat_base, self.trials)
            rungs.note_removed(self.path / HOME / "rungs", self.trials.gone() | foreign)

    def _fill_rungs(self) -> None:
        """Let a pruner that is new in this search know the values that its trials have had, as far
        as `metrics.jsonl` tells: also of those that ran without a pruner, or under another.
        """
        setting = self.plan.pruner
        if setting is None or pruners.replaces(setting):  # only those count that are still there
            return
        done = self.path / HOME / "rungs" / rungs.FILLED / setting.key
        if done.exists():  # the rungs alone do not tell: they may have been filled half
            return
        for record in self.trials:
            orders = self.judged_by(record)
            lines = files.read_lines(self.trials.path(record) / metrics.METRICS_LINES)
            attempt = self.trials.status(record).attempt
            if orders is not None and lines:
                # That no metric has a direction is said elsewhere.
                with contextlib.suppress(MetricsError):
                    Judge(replace(orders, judges=False), attempt, resumes=False).hear_again(lines)
        with contextlib.suppress(OSError):  # on a full disk it is done once more
            done.parent.mkdir(parents=True, exist_ok=True)
            done.touch()

    def _check_metric(self) -> None:
        named = (name for name, _ in objective.objectives(self._given))
        checks.check_metric(self.path, named, self.trials)

    def _check_base(self) -> list[str]:
        return checks.check_base(
            self.path, self.plan, self._flat_base, self.trials, rebase=self._rebase
        )

    def _example(self) -> dict[str, Any]:
        """Hyperparameters with every searched name, as a trial will have them."""
        return _with_point(self.base, dict.fromkeys(self.plan.space.domains))

    def _amend(self, changes: Mapping[str, Any]) -> None:
        raw, _ = plan.joined(self.plan.written, changes)
        self.plan = self._checked(raw)

    def _write(self) -> None:
        if self.plan.written != plan.read_plan(self.path):
            files.write_json(self.path / plan.FILE, self.plan.written, durable=True)
        self._read_from = stamp(self._file)

    def working_folder(self) -> Path:
        """Where trials' commands run: the project's folder, from which the search was started."""
        return self._project_folder(self.plan.cwd)

    def _project_folder(self, cwd: object) -> Path:
        if not isinstance(cwd, str):
            return _here()
        return _folder_at(self._whole_path, cwd)

    def _whole(self, name: str) -> str:
        """The whole path of a trial's folder."""
        return os.path.join(self._whole_path, name)

    def command_for(self, trial: TrialRecord) -> tuple[str, ...]:
        """The words of a trial's command.

        Raises:
            SearchError: when the plan has no command.
        """
        if self.plan.command is None:
            raise SearchError(
                f"{self.path}: no command says how to train.\n"
                f"  modeldir search {quoted(self.path)} -- python train.py",
                state="Nothing was started.",
            )
        model_dir = _as_typed(self._whole(trial.name), self.working_folder())
        return plan.trial_command(self.plan.command, trial.hyperparameters, model_dir)

    def judged_by(self, trial: TrialRecord) -> Orders | None:
        """By what a trial may be ended early; None where the plan has no pruner."""
        setting = self.plan.pruner
        if setting is None:
            return None
        return Orders(
            kind=setting.kind,
            options=setting.options,
            rungs=str(files.absolute(self.path / HOME / "rungs")),
            trial=trial.number,
            metric=self.plan.metric,
            judges=not self.trials.is_spared(trial),
            begun=int((trial.parent or {}).get("step") or 0),
            ends=inheritance.ends(self.trials, trial) if pruners.replaces(setting) else (),
        )

    def parent_of(self, trial: TrialRecord) -> Path | None:
        """The folder of the trial with whose weights this one begins; None where it has none."""
        return inheritance.parent_of(self.trials, trial)

    def lineage(self, trial: TrialRecord) -> dict[str, Any]:
        """What a run file says of the trial with whose weights this one begins."""
        return inheritance.lineage(self.trials, trial)

    def way_to_resume(self, folder: Path) -> tuple[str, ...] | None:
        """The arguments with which a trial goes on from what lies in its folder; None where it can
        only begin afresh, as far as is known.
        """
        return inheritance.way_to_resume(self.plan, folder)

    def way_to_go_on(self, folder: Path) -> tuple[str, ...] | None:
        """As `way_to_resume`, for a trial that has ended: without weights it begins afresh."""
        return inheritance.way_to_go_on(self.plan, folder)

    def look_ahead(
        self, command: str, *, typed: bool = True, most: int | None = None
    ) -> list[tuple[str, Mapping[str, Any], tuple[str, ...]]]:
        """The trials that would be made, or the first of them, as (name, point, command); makes
        nothing.

        The sampler has then been asked: this object is of no use for a search any more.

        Raises:
            SearchError: when the base changed since trials were made, or no trial has the metric.
            CommandError: when the command cannot run a trial.
        """
        self.trials.refresh(make=False)
        self.trials.adopt(claim=False)
        self._check_metric()
        self._tell_sampler()
        self._check_base()
        self._take(command, typed=typed)
        numbered = check_names(self.path, self.trials, fits=space.names_fit(self.plan.space))
        number = self.trials.next_number()
        found: list[tuple[str, Mapping[str, Any], tuple[str, ...]]] = []
        while len(found) != most and not self._enough():
            next_one = self._following(number)
            if next_one is None:
                break
            name = self.trials.free_name(next_one.point, number, numbered=numbered)
            model_dir = _as_typed(self._whole(name), self.working_folder())
            hyperparameters = _with_point(self.base, next_one.point)
            words = plan.trial_command(command, hyperparameters, model_dir)
            found.append((name, next_one.point, words))
            made = TrialRecord(number, name, next_one.point, hyperparameters, "")
            self._telling.imagine(replace(made, notes=next_one.notes))
            number += 1
        return found

    def waiting(self) -> list[str]:
        """The names of trials that are there and would run: interrupted, or never started."""
        again = {attempts.WAITING, attempts.INTERRUPTED}
        return [r.name for r in self.trials if self.trials.status(r).state in again]

    # -- The next trial ----------------------------------------------------------------------------

    def next_trial(self, busy: frozenset[int] = frozenset()) -> Turn | None:
        """Whose turn it is, its folder made; None when there is nothing left to start.

        First those that were interrupted or never ran, by number; then those that failed by an
        error in code that has changed since; then new ones; last those that took all down with
        them whenever they ran. `busy` are numbers to leave out.
        """
        if (ready := self._made_ahead()) is not None:
            return ready
        with self._alone():
            self._reload_if_grown()
            saw_all = self.trials.catch_up()
            turn = self._turn(busy)
            if turn is None and not saw_all:
                self.trials.refresh()
                turn = self._turn(busy)
            return turn

    def make_ahead(self, busy: frozenset[int]) -> None:
        """Make the next trial before there is a place for it, unless one waits already.

        Only where the next trial is the same whatever comes of those that run: else it is better
        chosen late.
        """
        if self._telling.learns or self.plan.stop_at is not None or self.plan.retries:
            return
        with self._alone():
            if self._has_grown():  # what is wrong with it is told by `next_trial`, once
                return
            self.trials.catch_up()
            self._tell_sampler()
            if self._left_over(busy) is None:
                self._ahead = self._new()

    def _made_ahead(self) -> Turn | None:
        """The trial that `make_ahead` has made, if nothing has happened to it since: another worker
        may have run it, somebody may have removed it, or wants other trials by now.
        """
        turn, self._ahead = self._ahead, None
        if turn is None or self._has_grown():
            return None
        return turn if self.trials.is_as_made(turn.record) else None

    def _turn(self, busy: frozenset[int]) -> Turn | None:
        self._tell_sampler()
        turn = self._again(busy)
        if turn is None and (new := self._new()) is not None:
            return new
        turn = turn or self._again(busy, deadly=True)
        if turn is not None:
            self.trials.mend(turn.record)
        return turn

    def _is_deadly(self, record: TrialRecord, last: int) -> bool:
        """Whether a trial's last attempts all have no end: whoever kept them was killed, too. One
        that brings down its host each time must not do so to each worker before others have run.
        """
        if last < _DEADLY:
            return False
        folder, latest = self.trials.path(record), range(last - _DEADLY + 1, last + 1)
        return all(attempts.read(folder, number).end is None for number in latest)

    def _reload_if_grown(self) -> None:
        """A plan may grow while workers run: theirs is read again when the file changed.

        Raises:
            SearchError, ParamsError: when it cannot be searched any more, or the base changed too.
        """
        if self._has_grown():
            numbered, asked = self._numbered, self._asked
            self._load({})
            self._numbered, self._asked = numbered, asked
            self._look()
            self._check_base()
            self._fill_rungs()

    def _has_grown(self) -> bool:
        state = stamp(self._file)
        if state is not None and state[1] == 0:
            return (
                False  # somebody's editor writes it just now: its content will be news of its own
            )
        return state != self._read_from

    def wishes(self) -> tuple[object, object]:
        """What changes when somebody wants another trial, or one again: the plan and the claims."""
        return stamp(self._file), stamp(os.path.join(self.path, HOME, "trials"))

    def may_have_more(self, busy: frozenset[int]) -> bool:
        """Whether `next_trial` could have something, as far as is known without making it."""
        self.trials.refresh(make=False)
        again = {attempts.WAITING, attempts.INTERRUPTED}
        if self.to_come() != 0 or self.trials.wanted_again():
            return True
        if any(self._deserves_another(record) for record in self.trials.failed()):
            return True
        left = [record for record in self.trials.unfinished() if record.number not in busy]
        return any(self.trials.status(record).state in again for record in left)

    def left(self) -> int | None:
        """How many trials wait to be started, made or not; None where the plan has no end."""
        self.trials.refresh(make=False)
        to_come = self.to_come()
        again = {r.number for r in self.trials.failed() if self._deserves_another(r)}
        again |= {record.number for record in self.trials.wanted_again()}
        return None if to_come is None else to_come + len(self.waiting()) + len(again)

    def _left_over(self, busy: frozenset[int], *, deadly: bool = False) -> Turn | None:
        """A trial that was interrupted, or has not run yet."""
        for record in self.trials.unfinished():
            if record.number not in busy:
                status = self.trials.status(record)
                starts = status.state in {attempts.WAITING, attempts.INTERRUPTED}
                spared = not deadly and self._is_deadly(record, status.attempt)
                if starts and not spared and self.trials.is_there(record):
                    return Turn(record, status.attempt + 1)
        return None

    def _again(self, busy: frozenset[int], *, deadly: bool = False) -> Turn | None:
        if (left := self._left_over(busy, deadly=deadly)) is not None:
            return left
        wanted = [
            *self.trials.wanted_again(),
            *(record for record in self.trials.failed() if self._deserves_another(record)),
        ]
        for record in wanted:
            if record.number not in busy and (turn := self._once_more(record)) is not None:
                return turn
        return None

    def failed_as_it_is(self) -> list[TrialRecord]:
        """The trials that have failed, and of which nothing was mended since."""
        failed = [r for r in self.trials if self.trials.status(r).state == attempts.FAILED]
        return [r for r in failed if not self._code_changed(r, self.trials.status(r))]

    def _deserves_another(self, record: TrialRecord) -> bool:
        """Whether a trial that failed may do better now."""
        return self._may_retry(record) or self._code_changed(record, self.trials.status(record))

    def _once_more(self, record: TrialRecord) -> Turn | None:
        """A further attempt of a trial that has ended, unless another worker makes it already."""
        known = self.trials.status(record)
        self.trials.forget(record)
        # It may run elsewhere by now.
        status = experiment.status(self.trials.path(record), observer=self.observer)
        live = status.state in {attempts.RUNNING, attempts.WAITING}
        return None if live or status.attempt != known.attempt else Turn(record, known.attempt + 1)

    def _may_retry(self, record: TrialRecord) -> bool:
        """Whether a trial has failed less often than the plan retries."""
        if not self.plan.retries:
            return False
        folder, last = self.trials.path(record), self.trials.status(record).attempt
        ends = [attempts.read(folder, number).end for number in range(1, last + 1)]
        return ends.count(attempts.FAILED) <= self.plan.retries

    def make_retry(
        self, record: TrialRecord, values: Mapping[str, Any], *, continues: bool = False
    ) -> tuple[TrialRecord, bool]:
        """A trial made after another with some values set by hand, and whether it is new: under a
        name values never change. One that `continues` begins with the other's last weights.

        Raises:
            SearchError: when there is no hyperparameter of such a name.
            ParamsError: when a value is of another kind than the one that it replaces.
        """
        from modeldir.params.params import Params  # noqa: PLC0415 - where a trial is made by hand

        overridden = Params(_with_point(record.hyperparameters, {}))
        unknown = [name for name in values if name not in overridden]
        if unknown:
            known = list(plain_values.flatten(record.hyperparameters))
            problems = [
                (f"{name}: not in params.json", did_you_mean(name, known)) for name in unknown
            ]
            raise SearchError(f"{record.name} cannot be made anew:", problems)
        overridden.update(values)
        with self._alone():
            numbered = check_names(self.path, self.trials, fits=space.names_fit(self.plan.space))
            while True:
                self.trials.refresh()
                for other in self.trials:
                    if self.trials.is_same(other, overridden.dict):
                        return other, False
                made = self.trials.claim(
                    self._point_of(overridden.dict, record, values),
                    overridden.dict,
                    told=self._remarks({}),
                    numbered=numbered,
                    retry_of=record.number,
                    parent=inheritance.as_parent(self.trials, record) if continues else None,
                )
                if made is not None:
                    if continues:
                        self.trials.spare(made.number)
                    return made, True

    def _point_of(
        self, hyperparameters: Mapping[str, Any], record: TrialRecord, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The point of a trial made after another: what counts at it now, and what was set."""
        decided = self.plan.space.decided(plain_values.flatten(hyperparameters))
        if decided is None:
            return {**record.point, **values}
        others = {n: v for n, v in record.point.items() if n not in self.plan.space.domains}
        return {**others, **decided, **values}

    def reached(self) -> float | None:
        """The value by which a trial has what the plan's `stop_at` asks for, whoever ran it; None
        where none has. A trial that has ended is looked at once.
        """
        goal, metric = self.plan.stop_at, self.plan.metric
        if goal is None or metric is None:
            return None
        self.trials.refresh(make=False)
        left = [r for r in self.trials.unfinished() if self.trials.status(r).state in RANKED]
        ended, self._judged = self.trials.ended_since(self._judged)
        for record in [*left, *ended]:
            if self.trials.status(record).state not in RANKED:
                continue
            value = experiment.scores(self.trials.path(record)).development.get(metric[0])
            if value is not None and metrics.reaches(value, goal, metric[1]):
                self._reached = value
        return self._reached

    def _code_changed(self, record: TrialRecord, status: experiment.Status) -> bool:
        """Whether a trial failed by code, a command or an environment that are not today's."""
        if status.state != attempts.FAILED or status.failure not in failures.MENDED:
            return False
        now = self.setting()
        attempt, then = self._settings.get(record.number, (0, {}))
        if attempt != status.attempt:  # asked for each trial that failed, whenever one is chosen
            told = attempts.read(self.trials.path(record), status.attempt).record
            then = {name: told[name] for name in now if name in told}
            self._settings[record.number] = status.attempt, then
        return any(then[name] != now[name] for name in then)

    def setting(self) -> dict[str, Any]:
        """What a trial's success depends on besides its hyperparameters, as run files keep it."""
        return self._surroundings.setting(self.plan, self.working_folder())

    def commit(self) -> str | None:
        """The commit that the project is at, looked for at most once a second."""
        return self._surroundings.commit(self.working_folder())

    def code(self) -> str | None:
        """The hash of the project's code, read again at most once a second."""
        return self._surroundings.code(self.working_folder())

    def _new(self) -> Turn | None:
        while not self._enough():
            number = self.trials.next_number()
            next_one = self._following(number)
            if next_one is None:
                return None
            parent, is_there = inheritance.parent_in(
                self.plan, self.trials, next_one.notes, in_loop=self._asked is not None
            )
            if not is_there:
                return None
            record = self.trials.claim(
                next_one.point,
                _with_point(self.base, next_one.point),
                told={**next_one.told, **self._remarks(next_one.notes)},
                numbered=self._numbered,
                parent=parent,
            )
            if record is not None:
                self._tell_sampler()
                return Turn(record, 1)
            self.trials.refresh()
            self._tell_sampler()
        return None

    def _remarks(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        """What `trial.json` says beside what a trial is: its sampler's notes, somebody's own."""
        told = {"notes": notes, "note": self.plan.note}
        return {name: value for name, value in told.items() if value}

    def _following(self, number: int) -> observation_stream.Following | None:
        return observation_stream.following(self.plan, self._telling, self._queue, number)

    def _enough(self) -> bool:
        return observation_stream.is_enough(self.plan, self._telling)

    def _tell_sampler(self) -> None:
        """Let the sampler know what has changed: other folders first, then each trial."""
        if self._taught is None:
            self._taught = teach(self.plan, self.path, self._telling)
        self._telling.tell()

    # -- Results -----------------------------------------------------------------------------------

    def metric(self) -> tuple[str, metrics.Direction] | None:
        """The metric to rank by: the plan's, else what the first trial with metrics suggests."""
        if self.plan.metric is not None:
            return self.plan.metric
        for record in self.trials:
            found = experiment.scores(self.trials.path(record)).development
            if found:
                return metrics.choose(list(found))
        reused = self._reused()
        return metrics.choose(list(reused[0].values)) if reused else None

    def score(self, trial: TrialRecord, metric: str) -> float | None:
        """A trial's value of a development metric; None where it has none."""
        return experiment.scores(self.trials.path(trial)).development.get(metric)

    def _ranks(self) -> bool:
        return self.plan.metric is not None

    def settle_metric(self, record: TrialRecord) -> tuple[str, metrics.Direction] | None:
        """Choose the metric by what a trial wrote, if nobody has chosen, and put it into the plan.

        Returns a new choice.
        """
        if self._ranks():
            return None
        chosen = metrics.choose(list(experiment.scores(self.trials.path(record)).development))
        if chosen is None:
            return None
        name, direction = chosen
        with self._alone():
            self._reload_if_grown()  # else what others wrote into the plan would be lost
            if self._ranks():
                return None
            self._amend({direction: name})
            self._begin_telling(self._telling.records())  # what there is has values now
            self._write()
        return chosen

    def results(self) -> Results:
        """The trials that count as they are now, each read once."""
        self.trials.refresh(make=False)
        self.trials.adopt(claim=False)
        return Results.read(self.trials, self._reused())

    def best(self, results: Results | None = None) -> Best | None:
        """The best completed trial by the development metric; None before there is one, and where
        the plan has several metrics: see `front`.

        Of a point with repeats the mean counts (it is the `value`), and its best repeat is the one.
        """
        found = results or self.results()
        chosen = self.metric()
        if chosen is None or len(self.plan.objectives) > 1:
            return None
        return found.best(chosen)

    def advice(self, results: Results | None = None) -> list[str]:
        """What it has shown, in at most three sentences; nothing without evidence, and nothing of
        a confirmation, whose own answer is by a sharper test.
        """
        from modeldir.search.advice import advice  # noqa: PLC0415 - at the end alone

        chosen = self.plan.objectives
        if len(chosen) != 1 or (self.path / discovery.CONFIRM).exists():
            return []
        found, written = results or self.results(), files.read_object(self.path / plan.FILE)
        return advice(found.tried(chosen[0][0]), chosen[0], written)

    def front(self, results: Results | None = None) -> list[Path]:
        """The completed trials that no other beats in all metrics of the plan (the Pareto front),
        by number; of points with repeats the means count, and the first repeat stands for them.
        """
        return (results or self.results()).front(self.plan.objectives)

    def _reused(self) -> list[elsewhere.Row]:
        """The experiments of other folders that count as done here."""
        return elsewhere.counted_by(self.plan, self._flat_base, self.path)

    # -- From Python -------------------------------------------------------------------------------

    def ask(self) -> Trial | None:
        """The next trial of the loop in Python, ours to run; None when the search is over."""
        from modeldir.search.loop import Trial  # noqa: PLC0415 - whose trials are commands needs no loop

        if self._asked is None:
            self.prepare()
            self._asked = set()
        while (turn := self.next_trial(frozenset(self._asked))) is not None:
            record = turn.record
            self._asked.add(record.number)
            path, metric = self.trials.path(record), self.plan.metric
            parent = self.parent_of(record)
            inherits = attempts.last_weights(parent) if parent is not None else ()
            trial = Trial(
                turn,
                path,
                metric,
                self.code(),
                judged_by=self.judged_by(record),
                inherits=inherits,
            )
            if trial.claim():
                return trial
        return None

    def tell(
        self,
        trial: Trial,
        values: Mapping[str, Any] | None = None,
        *,
        status: Literal["completed", "pruned", "failed"] | None = None,
        reason: str | None = None,
    ) -> None:
        """Record how a trial has ended, for loops of one's own; several may be asked for before any
        is told.

        Args:
            trial: one that `ask` gave.
            values: its development metrics; those that it has reported need not be said again.
            status: `"completed"` by default, and `"pruned"` where `report` has ended it early.
            reason: why it was pruned, or has failed.

        Raises:
            SearchError: when it was told before, there is no such status, or it has no metrics and
                no `status` says why.
            MetricsError: when a value is not a number.
        """
        from modeldir.search import loop  # noqa: PLC0415 - as above

        trial.refuse_if_told()
        loop.check_status(status)
        if values is None and status is None and not trial.pruned and self.plan.metric is not None:
            name = self.plan.metric[0]
            if not experiment.scores(trial.model_dir).development:
                raise SearchError(
                    f"{trial.name}: has no metrics, and the search ranks by {name!r}\n"
                    f'  search.tell(trial, {{"{name}": 0.9}}), or status="failed"'
                )
        if values is not None:
            found = metrics.development(dict(metrics.numbers_in(metrics.plain(values))))
            metrics.save_metrics(found, trial.model_dir / metrics.EVAL_BEST)
        ended = status or (attempts.PRUNED if trial.pruned else attempts.COMPLETED)
        trial.end(ended, reason or trial.pruned)
        self.settle_metric(self.trials[trial.number])

    def __iter__(self) -> Iterator[Trial]:
        while (trial := self.ask()) is not None:
            yield trial
            self.settle_metric(self.trials[trial.number])


def _with_point(base: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """The base with a point's values in it; a dotted name reaches into nested parts."""
    merged: dict[str, Any] = _copied(base)
    for name, value in point.items():
        part = merged
        *outer, last = [name] if name in merged else name.split(".")
        for key in outer:
            part = part.setdefault(key, {})
        part[last] = value
    return merged


def _copied(value: Any) -> Any:
    """A value of JSON with nothing in common; `copy` is slow to import."""
    if isinstance(value, Mapping):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _is_one(constraints: object) -> bool:
    """Whether one constraint was given, which is a text as a list of them is none."""
    return isinstance(constraints, str) and constraints != plan.NONE


def _listed(values: Iterable[Any] | str | None) -> Any:
    """Several of something as a list; a word, and nothing, as it is."""
    return values if values is None or isinstance(values, str) else list(values)


def _folders(given: _Folders, search: Path) -> list[str] | Literal["none"] | None:
    """Folders as a plan has them, relative to the search's."""
    if given is None or given == plan.NONE:
        return given  # type: ignore[return-value] # the word is a text
    several = [given] if isinstance(given, (str, os.PathLike)) else given
    return elsewhere.stored([os.fspath(each) for each in several], search)


def _line(words: Sequence[str]) -> str:
    return shlex.join(map(str, words))


@functools.lru_cache(maxsize=8)
def _folder_at(start: str, way: str) -> Path:
    """Asked for several times a trial, and always the same."""
    return Path(os.path.normpath(os.path.join(start, way)))


def _here() -> Path:
    return Path.cwd()


def _as_typed(whole: str, start: Path) -> str:
    """A whole path as a user would type it from a folder: relative where it lies below it."""
    return whole.removeprefix(os.path.join(start, ""))
