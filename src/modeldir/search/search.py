"""A search: a folder with a base config and a plan, whose subfolders are trials.

`Search` is what users call, and only joins the parts. Which trial comes next: `scheduler.py`; what
the plan says: `plan_file.py`; the best trial: `ranking.py`. `worker/worker.py` starts processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from modeldir._system import heartbeat
from modeldir._system.shell import command_line
from modeldir.errors import SearchError
from modeldir.experiment import attempts, experiment
from modeldir.metrics import metric_files, objective
from modeldir.pruners.pruning_decision import Orders
from modeldir.search import (
    code_state,
    finished_experiments,
    inherited_weights,
    plan,
    pruner_orders,
    start_checks,
    trial_command,
)
from modeldir.search.plan_file import PlanFile
from modeldir.search.ranking import Best, Results, metric_of
from modeldir.search.scheduler import Scheduler, SearchLock
from modeldir.search.trial_record import PlannedTrial, TrialRecord
from modeldir.search.trials import Trials

if TYPE_CHECKING:
    from modeldir.search.loop import Trial


_Folders: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None"


class Search:
    """The search in a folder.

    Args:
        path: the folder; it holds `params.json`, the base config.
        space: what varies: `{"learning_rate": [0.1, 0.01]}`, `{"dropout": {"uniform": [0, 0.5]}}`,
            or by the functions of `modeldir.space`: `space.uniform(0, 0.5, step=0.1)`.
            Without it the existing plan continues; values that are given again are joined with it.
        zip: names whose lists are zipped: `[["batch_size", "learning_rate"]]`.
        try_: configurations to try first, `[{"learning_rate": 0.01}]`; names that they leave out
            are sampled. Or a CSV file of them, `"@configurations.csv"`.
        constraints: what must hold for each trial: `["batch_size * accumulate <= 512"]`.
            It, `zip` and `try_` are added to the plan's; "none" removes those of the plan.
        condition: conditions, as `space` may have them too: `{"momentum": {"optimizer": ["sgd"]}}`.
        maximize: the metric to rank by; by default accuracy, then f1, then loss. Or several
            metrics, as a list, and with `minimize`: the search then looks for the Pareto front.
        minimize: as `maximize`, for a metric that should be low.
        rank_by: compare trials by the "best" values over their steps, or by the "last" ones.
        sampler: one of `modeldir.samplers.NAMES`, "package.module:Class", or with its options
            `{"tpe": {"startup": 20}}`. By default a grid, where every hyperparameter has a list and
            all combinations are wanted, else `"auto"`.
        trials: how many trials in all; with `repeats` how many configurations.
        seed: the sampler's random seed; trial n is always drawn the same way for a given seed, in
            whatever order trials run.
        repeats: train each configuration this many times, each with a different value of the
            hyperparameter `seed`.
        warm_start_from: folders whose experiments the sampler learns from, relative to the current
            folder.
        reuse: folders whose experiments count as done: what was completed there is not run again.
            It and `warm_start_from` are added to the plan's; "none" removes those of the plan.
        command: what runs a trial: `"python train.py --data_dir data"`.
        run_in_trial: run each trial in its own folder, where it then writes its files.
        metrics: a printed line to take metrics from, `"epoch {step}: val acc {accuracy}"`, or a
            file in the trial's folder, `"log.csv:val_acc"`; several as a list.
        resume: arguments with which an interrupted trial resumes: `"--ckpt {checkpoint}"`. "itself"
            if the script looks for its own checkpoint.
        trial_time_limit: seconds, or "30m": a trial that takes longer is ended, and has failed.
            It, `pruner`, `max_retries` and `target` are kept in the plan; "none" removes them.
        pruner: stops unpromising trials early: `"asha"`, `"hyperband"`, `"median"`, with options
            `{"asha": {"min_step": 1, "reduction_factor": 3}}`, or your own class.
        max_retries: how often a trial that failed is run again.
        target: a value of the metric: once a trial has reached it, no more are started.
        note: what you want to remember: each trial that is made from now on keeps it.
        accept_new_base: continue although the base config changed since trials were made.

    Raises:
        SearchError: when the plan or the folder cannot be searched; every problem at once.
        ParamsError: when the base config or the plan cannot be read.
    """

    def __init__(  # noqa: PLR0913 - the keys of a plan
        self,
        path: str | os.PathLike[str],
        space: Mapping[str, Any] | None = None,
        *,
        zip: Iterable[Sequence[str]] | Literal["none"] | None = None,  # noqa: A002 - the plan's word
        try_: Iterable[Mapping[str, Any]] | str | os.PathLike[str] | None = None,
        constraints: Iterable[str] | Literal["none"] | None = None,
        condition: Mapping[str, Mapping[str, Any] | None] | None = None,
        maximize: str | Sequence[str] | None = None,
        minimize: str | Sequence[str] | None = None,
        rank_by: Literal["best", "last"] | None = None,
        sampler: str | Mapping[str, Any] | None = None,
        trials: int | None = None,
        seed: int | None = None,
        repeats: int | None = None,
        warm_start_from: _Folders = None,
        reuse: _Folders = None,
        command: str | Sequence[str] | None = None,
        run_in_trial: bool | None = None,
        metrics: str | Sequence[str] | None = None,
        resume: str | None = None,
        pruner: str | Mapping[str, Mapping[str, Any]] | None = None,
        trial_time_limit: str | float | None = None,
        max_retries: int | Literal["none"] | None = None,
        target: float | Literal["none"] | None = None,
        note: str | None = None,
        accept_new_base: bool = False,
    ) -> None:
        self.path = Path(path)
        start_checks.check_home(self.path)
        given = {
            "space": dict(space or {}),
            "zip": _listed(zip),
            "try": _points(try_),
            "constraints": _constraints(constraints),
            "condition": dict(condition or {}),
            "maximize": objective.to_json(maximize),
            "minimize": objective.to_json(minimize),
            "rank_by": rank_by,
            "sampler": sampler,
            "trials": trials,
            "seed": seed,
            "repeats": repeats,
            "warm_start_from": _folders(warm_start_from, self.path),
            "reuse": _folders(reuse, self.path),
            "command": command if command is None or isinstance(command, str) else _line(command),
            "run_in_trial": run_in_trial,
            "metrics": objective.to_json(metrics),
            "resume": resume,
            "pruner": pruner if pruner is None or isinstance(pruner, str) else dict(pruner),
            "trial_time_limit": trial_time_limit,
            "max_retries": max_retries,
            "target": target,
            "note": note,
        }
        self.plan_file = PlanFile(self.path, given, accept_new_base=accept_new_base)
        self.observer = heartbeat.Observer()
        self._code_state = code_state.CodeState()
        self._lock = SearchLock(self.path)
        self.scheduler = Scheduler(self.plan_file, self._lock, self.setting, self.observer)
        self._asked: set[int] = set()

    def __repr__(self) -> str:
        return f"Search({str(self.path)!r})"

    @property
    def plan(self) -> plan.Plan:
        """The plan as it is now."""
        return self.plan_file.plan

    @property
    def trials(self) -> Trials:
        """The trials that are there."""
        return self.scheduler.trials

    # -- Before it starts --------------------------------------------------------------------------

    def prepare(self, command: str | None = None, *, typed: bool = True) -> list[str]:
        """Check what must hold before anything starts, write the plan, and return news to print.

        A command that was `typed` just now runs from here, one that the plan had where it ran.

        Raises:
            SearchError: when the base config changed since trials were made, or trials' names would
                be too long.
            CommandError: when the command cannot run a trial.
        """
        self.plan_file.check_to_run()
        news = [f"plan: {change}" for change in self.plan_file.changes]
        news += self.plan_file.use_command(command, typed=typed) if command is not None else []
        news += self._collect_again()
        self.scheduler.take_in_all()
        self._check_metric()
        news += start_checks.failed_by_name(self.path, self.plan, self.trials)
        news += self.scheduler.earlier()
        news += self.plan_file.check_base(self.trials)
        news += start_checks.code_has_changed(self.trials, self.code)
        news += self._keep_code()
        news += [f"warning: {problem}" for problem in self.trials.claims.problems.values()]
        with self._lock.held():
            self._fill_in()
            while not self.plan_file.write():  # changed by another command, since we read it
                self.plan_file.load(self.plan_file.given)
                self.scheduler.begin()
                self.scheduler.take_in_all()
                if command is not None:
                    self.plan_file.use_command(command, typed=typed)
                self._fill_in()
        return news

    def _collect_again(self) -> list[str]:
        """Read the metrics of trials that have ended, if `--metrics` is new."""
        patterns = self.plan.metrics
        if not patterns or objective.to_json(patterns) == self.plan_file.as_read("metrics"):
            return []
        from modeldir.search.collect_again import collect_again  # noqa: PLC0415 - rarely needed

        with self._lock.held():
            is_typed = "metrics" in self.plan.written
            return collect_again(self.path, patterns, self.plan.metric, typed=is_typed)

    def _keep_code(self) -> list[str]:
        """Keep the code that the next trials run with; return a note on what is not kept."""
        self.kept()
        note = self._code_state.keeper(self.working_folder(), self.path).note()
        return [note] if note else []

    def _fill_in(self) -> None:
        """Complete the trials of a power cut and the pruner's rungs."""
        for record in self.trials:
            ended = self.trials.status(record).state in attempts.FINAL
            self.trials.folders.mend(record, ended=ended)
        pruner_orders.fill_rungs(self.plan_file, self.trials)

    def look_ahead(
        self, command: str, *, typed: bool = True, most: int | None = None
    ) -> list[PlannedTrial]:
        """Return the trials that would be made, at most `most` of them; nothing is made.

        The sampler has then been asked: this object is of no use for a search any more.

        Raises:
            SearchError: when the base config changed since trials were made, or no trial has the
                metric.
            CommandError: when the command cannot run a trial.
        """
        self.plan_file.check_to_run()
        self.trials.refresh(make=False)
        self.trials.adopt(claim=False)
        self._check_metric()
        self.scheduler.tell_sampler()
        self.plan_file.check_base(self.trials)
        self.plan_file.use_command(command, typed=typed)
        return self.scheduler.preview(most)

    def _check_metric(self) -> None:
        named = (name for name, _ in objective.objectives(self.plan_file.given))
        start_checks.check_metric(self.path, named, self.trials)

    # -- How a trial runs --------------------------------------------------------------------------

    def working_folder(self) -> Path:
        """Return the folder in which trials' commands run: where the search was started."""
        return self.plan_file.working_folder()

    def command_for(self, trial: TrialRecord) -> tuple[str, ...]:
        """Return the words of a trial's command.

        Raises:
            SearchError: when the plan has no command.
        """
        return self.plan_file.command_for(trial.name, trial.hyperparameters)

    def first_words(self) -> tuple[str, ...]:
        """Return the command as trials run it, but with its placeholders."""
        words = trial_command.words_of(self.plan.command or "-")
        is_elsewhere = self.plan.run_in_trial
        return trial_command.from_elsewhere(words, self.working_folder()) if is_elsewhere else words

    def judged_by(self, trial: TrialRecord) -> Orders | None:
        """Return by what a trial may be ended early; None where the plan has no pruner."""
        return pruner_orders.orders_for(self.plan_file, self.trials, trial)

    def setting(self) -> dict[str, Any]:
        """Return everything else that a trial's success depends on, as run files keep it."""
        return self._code_state.setting(self.plan, self.working_folder())

    def commit(self) -> str | None:
        """Return the commit that the project is at, looked for at most once a second."""
        return self._code_state.commit(self.working_folder())

    def kept(self) -> dict[str, str | None]:
        """Keep the code and the environment as they are now, at most once a second.

        Returns:
            the names of both for a trial's run file: `snapshot` and `environment`.
        """
        return self._code_state.kept(self.plan, self.working_folder(), self.path)

    def code(self) -> str | None:
        """Return the hash of the project's code, read again at most once a second."""
        return self._code_state.code(self.working_folder())

    def make_retry(
        self, record: TrialRecord, values: Mapping[str, Any], *, continues: bool = False
    ) -> tuple[TrialRecord, bool]:
        """Make a trial after another with some values set by hand; also return if it is new.

        One that `continues` begins with the last weights of the other trial.

        Raises:
            SearchError: when there is no hyperparameter of such a name.
            ParamsError: when a value has another type than the one that it replaces.
        """
        from modeldir.search import edited_trial  # noqa: PLC0415 - only for `modeldir retry --set`

        with self._lock.held():
            return edited_trial.make(self.plan, self.trials, record, values, continues=continues)

    # -- Results -----------------------------------------------------------------------------------

    def results(self) -> Results:
        """Read the trials that count as they are now, each once."""
        self.trials.refresh(make=False)
        self.trials.adopt(claim=False)
        return Results.read(self.plan, self.trials, self._reused())

    def metric(self) -> tuple[str, objective.Direction] | None:
        """Return the plan's metric, else one that the first trial with metrics has."""
        return metric_of(self.plan, self.trials, self._reused())

    def best(self) -> Best | None:
        """Return the best completed trial by the validation metric; None before there is one.

        In a search with repeats, the value is the mean of a configuration's repeats and the trial
        its best repeat. With several metrics there is no single best trial: see `front`.
        """
        return self.results().best()

    def front(self) -> list[Path]:
        """Return the completed trials that no other beats in all metrics (the Pareto front).

        They are ordered by number. In a search with repeats, means are compared, and the first
        repeat stands for its configuration.
        """
        return self.results().front()

    def advice(self) -> list[str]:
        """Return at most three sentences on what the search has shown; none without evidence."""
        return self.results().advice()

    def _reused(self) -> list[finished_experiments.FinishedExperiment]:
        """Return the experiments of other folders that count as done here."""
        return finished_experiments.reused_by(self.plan, self.plan_file.flat_base, self.path)

    # -- From Python -------------------------------------------------------------------------------

    def ask(self) -> Trial | None:
        """Return the next trial of a Python loop, to run in this process; None at the end."""
        from modeldir.search.loop import Trial  # noqa: PLC0415 - only in a Python loop

        if not self.scheduler.in_loop:
            self.prepare()
            self.scheduler.in_loop = True
        while (turn := self.scheduler.next_trial(frozenset(self._asked))) is not None:
            record = turn.record
            self._asked.add(record.number)
            path, metric = self.trials.path(record), self.plan.metric
            parent = inherited_weights.parent_of(self.trials, record)
            inherits = attempts.last_weights(parent) if parent is not None else ()
            trial = Trial(
                turn,
                path,
                metric,
                {"code": self.code(), "commit": self.commit(), **self.kept()},
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
        """Record how a trial has ended. You may ask for several trials before you tell of any.

        Args:
            trial: one that `ask` returned.
            values: its validation metrics; leave out those that it has reported.
            status: `"completed"` by default, and `"pruned"` where `report` has ended it early.
            reason: why it was pruned, or has failed.

        Raises:
            SearchError: when its end is recorded already, there is no such status, or it has no
                metrics and no `status` says why.
            MetricsError: when a value is not a number.
        """
        from modeldir.search import loop  # noqa: PLC0415 - as above

        trial.check_open()
        loop.check_status(status)
        if values is None and status is None and not trial.pruned and self.plan.metric is not None:
            name = self.plan.metric[0]
            if not experiment.scores(trial.model_dir).validation:
                raise SearchError(
                    f"{trial.name}: has no metrics, and the search ranks by {name!r}\n"
                    f'  search.tell(trial, {{"{name}": 0.9}}), or status="failed"'
                )
        if values is not None:
            found = metric_files.validation_metrics(
                dict(metric_files.numbers_in(metric_files.as_json(values)))
            )
            metric_files.save_metrics(found, trial.model_dir / metric_files.EVAL_BEST)
        ended = status or (attempts.PRUNED if trial.pruned else attempts.COMPLETED)
        trial.end(ended, reason or trial.pruned)
        self.scheduler.settle_metric(self.trials[trial.number])

    def __iter__(self) -> Iterator[Trial]:
        """Iterate over the trials: `for trial in search: with trial: ...`."""
        while (trial := self.ask()) is not None:
            yield trial
            self.scheduler.settle_metric(self.trials[trial.number])


def _points(
    given: Iterable[Mapping[str, Any]] | str | os.PathLike[str] | None,
) -> Any:
    if isinstance(given, os.PathLike):
        return os.fspath(given)
    return [given] if isinstance(given, Mapping) else _listed(given)


def _constraints(given: Iterable[str] | str | None) -> Any:
    """Return constraints as a list; a string is one constraint, except "none"."""
    is_one = isinstance(given, str) and given != plan.NONE
    return [given] if is_one else _listed(given)


def _listed(values: Iterable[Any] | str | None) -> Any:
    """Return several values as a list, and a string or None as it is."""
    return values if values is None or isinstance(values, str) else list(values)


def _folders(given: _Folders, search: Path) -> list[str] | Literal["none"] | None:
    if given is None or given == plan.NONE:
        return given  # type: ignore[return-value] # the word is a string
    several = [given] if isinstance(given, (str, os.PathLike)) else given
    return [os.path.relpath(each, search) for each in several]


def _line(words: Sequence[str]) -> str:
    return command_line(map(str, words))
