"""Word the beginning and the end of a search: the plan, what failed and why, what is best.

`worker/worker.py` prints `opening` and the lines of `summary`, made from the search's folder;
nothing is decided here. Progress while a search runs: `snapshots.py`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modeldir import samplers
from modeldir._system.shell import quoted
from modeldir.errors import first_of
from modeldir.experiment import attempts, experiment, failure_classes, repeats, trial_labels
from modeldir.metrics import line_proposals, metric_files, metric_names, objective
from modeldir.search import plan, worker_registry

if TYPE_CHECKING:
    from modeldir.search.ranking import Results
    from modeldir.search.search import Search
    from modeldir.search.trial_record import TrialRecord

_SHOWN = 3
"""How many logs are named, and how many trials that failed earlier."""

_EXTREMES = {"maximize": "highest", "minimize": "lowest"}
_TITLES = {
    "grid": "Grid search",
    "random": "Random search",
    "sobol": "Sobol search",
    "tpe": "TPE search",
    "gp": "GP search",
    "cmaes": "CMA-ES search",
    "nsga2": "NSGA-II search",
    "pbt": "Population-based training",
}


@dataclass(frozen=True)
class WorkerOutcome:
    """How a worker ended.

    `ended` counts its trials by status. `problem` says why the search stopped, if the user has to
    fix something. `limited`: it reached a limit of this command; the same command continues.
    `same_error` counts the trials that failed with one error, if that ended the search.
    `elsewhere`: trials that other workers still run. `comes_again`: the job manager will start its
    job again. `as_asked`: `modeldir stop` ended it, which is no failure for its job manager.
    """

    ended: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    problem: str | None = None
    stopped: bool = False
    limited: bool = False
    same_error: int | None = None
    elsewhere: int = 0
    failed_in_all: int = 0
    comes_again: bool = False
    as_asked: bool = False

    @property
    def exit_code(self) -> int:
        """0: all is well, 1: a trial failed or is left, 2: wrong use, 130: interrupted."""
        if self.problem is not None:
            return 2
        if self.as_asked:
            return 1 if self.failed_in_all else 0
        if self.stopped:
            return 130
        left = (attempts.FAILED, attempts.INTERRUPTED, attempts.PENDING)
        return 1 if self.failed_in_all or any(self.ended.get(state) for state in left) else 0


def opening(search: Search, jobs: int) -> str | None:
    """Return what a worker is going to do, in one line; None if nothing is left to start."""
    left, scheduler = search.scheduler.left(), search.scheduler
    if left == 0 or scheduler.reached() is not None:
        return None
    states = Counter(search.trials.status(record).state for record in search.trials)
    due = [search.trials.status(record).state for record in scheduler.retries.due()]
    done = sum(states[state] for state in attempts.FINAL) - len(due)
    failed = states[attempts.FAILED] - due.count(attempts.FAILED)
    title = _TITLES.get(search.plan.sampler, f"Search by {search.plan.sampler}")
    remaining = scheduler.remaining()
    total = "" if remaining is None else f"{sum(states.values()) + remaining}"
    if any(states[state] for state in (*attempts.FINAL, attempts.INTERRUPTED)):
        title = f"Resuming {title[0].lower() if title[1].islower() else title[0]}{title[1:]}"
        trials = f"{done} of {total} trials done" if total else f"{done} trials done"
        trials += f" ({failed} failed)" if failed else ""
    else:
        trials = _trials(int(total)) if total else "trials until you stop it"
    seeds = f" ({search.plan.repeats} seeds each)" if search.plan.repeats > 1 else ""
    parallel = "one at a time" if jobs == 1 else f"{jobs} in parallel"
    line = f"{title}: {trials}{seeds}, {parallel}."
    return f"{line} Best = {_ranking(search)}." if search.plan.objectives else line


def _ranking(search: Search) -> str:
    last = "last " if search.plan.rank_by == "last" else ""
    return ", ".join(f"{_EXTREMES[better]} {last}{name}" for name, better in search.plan.objectives)


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def summary(search: Search, outcome: WorkerOutcome) -> list[str]:
    """Return the failures and what to do about them, then the result and the next command."""
    failed = [*_failures(search, outcome)]
    results = search.results()
    result = [_result(search, outcome, results), *_used_up(search, outcome)]
    result += [*_front(search, results), *_not_ranked(search, results), *_diverged(search, results)]
    suspicion = _suspicion(search, outcome, results)
    result += suspicion or [f"advice: {sentence}" for sentence in results.advice()]
    if outcome.problem is not None:
        result.append(f"error: {outcome.problem}")
    elif not outcome.comes_again:
        result += _next(search, outcome)
    return [*failed, *([""] if failed and len(result) > 1 else []), *result]


def _result(search: Search, outcome: WorkerOutcome, results: Results) -> str:
    """Return how many trials ended in which way, and the best."""
    counts = [counted(outcome.ended) or _nothing_ran(search)]
    if outcome.ended and (left := _not_started(search, outcome)):
        counts.append(f"{left} not started")
    if outcome.elsewhere:
        counts.append(f"{outcome.elsewhere} still running in other workers")
    head = ", ".join(counts)
    best = results.best()
    if best is None:
        return head
    better = dict(search.plan.objectives).get(best.metric) or metric_names.direction(best.metric)
    extreme = f"{_EXTREMES[better]} " if better else ""
    extreme += "last " if search.plan.rank_by == "last" else ""
    mean = ", the mean of its seeds" if search.plan.repeats > 1 else ""
    return f"{head}. Best: {best.path} ({extreme}{best.metric} {best.value:.6g}{mean})"


def _not_started(search: Search, outcome: WorkerOutcome) -> int:
    """Return how many trials were not started because this worker stopped before its end."""
    early = outcome.stopped or outcome.limited or outcome.problem is not None
    if not early and search.scheduler.reached() is None:
        return 0
    left = len(search.scheduler.pending()) + (search.scheduler.remaining() or 0)
    return max(0, left - outcome.ended.get(attempts.INTERRUPTED, 0))


def _used_up(search: Search, outcome: WorkerOutcome) -> Iterator[str]:
    """Yield a line if the search space has fewer configurations than trials were asked for."""
    asked = search.plan.trials
    is_done = not (outcome.stopped or outcome.limited or outcome.problem or outcome.elsewhere)
    made = search.scheduler.observations.count()
    if asked is not None and made < asked and is_done and search.scheduler.reached() is None:
        found = "1 configuration" if made == 1 else f"{made} configurations"
        why = samplers.why_exhausted(search.plan.sampler)
        yield f"note: {found} instead of {asked}: {why}"


def _front(search: Search, results: Results) -> Iterator[str]:
    ranked = search.plan.objectives
    front = results.front() if len(ranked) > 1 else []
    if front:
        titles = [
            trial_labels.title_of(path) if path.parent == search.path else path.name
            for path in front
        ]
        yield f"Pareto front by {objective.describe(ranked)}: {first_of(titles, _SHOWN)}"
        options = objective.command_options(ranked)
        yield f"  Best by one metric: modeldir best {quoted(search.path)} {options}"


def _not_ranked(search: Search, results: Results) -> Iterator[str]:
    """Yield a line if the trials have metrics, but none of a known direction."""
    names = [*dict.fromkeys(name for each in results.counted for name in each.scores)]
    if names and results.metric() is None:
        yield f"Not ranked: {objective.question(names)}"
        yield f"  To rank: modeldir search {quoted(search.path)} {objective.answers(names[0])}"


def _diverged(search: Search, results: Results) -> Iterator[str]:
    """Yield a line if the best trial's metric became NaN after its best step."""
    best = results.best()
    if best is None:
        return
    _, _, values = metric_files.logged_step(experiment.last_step(best.path), 0)
    if math.isnan(metric_files.validation_value(values, best.metric) or 0.0):
        name = trial_labels.title_of(best.path) if best.path.parent == search.path else best.path
        why = f"its last {best.metric} is NaN, and its best is from before"
        yield f"note: {name} has diverged: {why}"


def _next(search: Search, outcome: WorkerOutcome) -> list[str]:
    path = quoted(search.path)
    left = len(search.scheduler.pending()) + (search.scheduler.remaining() or 0)
    if left and outcome.same_error is None and (outcome.stopped or outcome.limited):
        return [f"To resume: {worker_registry.resume_command(search.path)}"]
    lines = []
    if any(search.trials.status(r).state in attempts.WITH_METRICS for r in search.trials):
        lines.append(f"Compare them: modeldir results {path}")
    if left and search.scheduler.reached() is not None:
        again = f"{worker_registry.resume_command(search.path)} --target {plan.NONE}"
        lines.append(f"To continue anyway: {again}")
    return lines


def counted(states: Mapping[str, int]) -> str:
    """Return counts in words.

    >>> counted({"failed": 1, "completed": 2})
    '2 completed, 1 failed'
    """
    return ", ".join(f"{states[state]} {state}" for state in sorted(states))


def the_script(command: str | None) -> str:
    """Return the name of the script that a command runs.

    >>> the_script("python train.py --data_dir data"), the_script("./go")
    ('train.py', 'the script')
    """
    words = (command or "").split()
    return next((word for word in words if word.endswith(".py")), "the script")


def _failures(search: Search, outcome: WorkerOutcome) -> Iterator[str]:
    """Yield each error once, where to read more, and how the trials run again."""
    same: dict[tuple[str, str], list[TrialRecord]] = {}
    failed = _failed(search)
    for record in failed:
        if record.name in outcome.failed:
            same.setdefault(how_failed(search, record), []).append(record)
    if outcome.same_error is not None and len(same) == 1:
        ((_, records),) = same.items()
        count = len(records)
        yield f"Stopped after {_trials(count)}: all failed with the same error."
        yield from ("", f"  {_error_of(search, records)}", "")
    else:
        for (failure, _), records in same.items():
            name = records[0].title if len(records) == 1 else f"{len(records)} trials"
            of = "" if failure == failure_classes.ERROR else f" ({failure})"
            yield f"{name} failed{of}: {_error_of(search, records)}"
    older = [record for record in failed if record.name not in outcome.failed]
    if older:  # they change the exit code
        titles = [f"trial {r.number} ({how_failed(search, r)[0]})" for r in older]
        yield f"failed earlier: {first_of(titles, _SHOWN)}"
    if failed:
        yield from _hints(search, [records[-1] for records in same.values()] or older[-1:])


def _hints(search: Search, examples: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield commands: to read the logs, and how failed trials run again."""
    again = worker_registry.resume_command(search.path)
    classes = {how_failed(search, record)[0] for record in _failed(search)}
    hints = [
        ("see the log:" if index == 0 else "", f"modeldir log {quoted(search.trials.path(record))}")
        for index, record in enumerate(examples[:_SHOWN])
    ]
    if not classes.isdisjoint(failure_classes.FIXED_BY_CODE):
        hints.append(("after a fix:", f"{again}   (failed trials run again)"))
    hints.append(("to run them as is:", f"modeldir retry {quoted(search.path)}"))
    limit = search.plan.trial_time_limit
    if failure_classes.TIME_LIMIT in classes and limit is not None:
        hints.append(
            ("with more time:", f"{again} --trial-time-limit {2 * limit:g}s   (after `retry`)")
        )
    for label, command in hints:
        yield f"  {label:<18} {command}"


def _error_of(search: Search, records: Sequence[TrialRecord]) -> str:
    words = [_words(search.trials.status(record)) for record in records]
    return words[0] if len(set(words)) == 1 else f"{words[-1]}   (and similar errors)"


def how_failed(search: Search, record: TrialRecord) -> tuple[str, str]:
    """Return the class of a trial's failure, and its error without the trial's own name."""
    status = search.trials.status(record)
    return str(status.failure), failure_classes.masked(_words(status), record.name)


def _words(status: experiment.Status) -> str:
    return status.last_line or status.reason or "no output"


def _failed(search: Search) -> list[TrialRecord]:
    return [r for r in search.trials if search.trials.status(r).state == attempts.FAILED]


def _nothing_ran(search: Search) -> str:
    """Return a line for a worker that ran nothing: which trials there are, and why."""
    states = Counter(search.trials.status(record).state for record in search.trials)
    remaining, goal = search.scheduler.remaining(), search.plan.target
    reused = search.scheduler.observations.done_elsewhere()
    if not states and reused and not remaining:
        return f"Nothing left to run: {reused} done elsewhere (--reuse)"
    if not states:
        return "No trials"
    if not remaining:
        return f"Nothing left to run: {counted(states)}"
    is_reached = goal is not None and search.scheduler.reached() is not None
    why = f", because the target {goal:g} is reached" if is_reached else ""
    return f"Nothing was started{why}: {counted(states)}, {remaining} remaining"


def _unused_seed(search: Search, results: Results, script: str) -> list[str]:
    if search.plan.repeats <= 1:
        return []
    groups = results.by_configuration()
    if not repeats.seed_has_no_effect([[each.scores for each in group] for group in groups]):
        return []
    return [
        f"note: all seeds of a configuration give the same metrics: {script} does not use `seed`"
    ]


def _suspicion(search: Search, outcome: WorkerOutcome, results: Results) -> list[str]:
    completed = [
        each
        for each in results.counted
        if search.trials.status(each.record).state == attempts.COMPLETED
    ]
    seen = [tuple(sorted(each.scores.items())) for each in completed]
    script, again = the_script(search.plan.command), worker_registry.resume_command(search.path)
    if seen and not any(seen) and (outcome.ended.get(attempts.COMPLETED) or not outcome.ended):
        console = search.trials.path(completed[0].record) / attempts.console_file()
        found = line_proposals.propose_for(console)
        pattern = quoted(found.pattern if found else "accuracy: {accuracy}")
        return [
            "note: no metrics were found, so there is nothing to compare.",
            "  To read what it printed or left, without training again:",
            f"  {again} --metrics {pattern}   (or --metrics FILE:COLUMN)",
            f'  Or let {script} write {{"accuracy": 0.97}} to the trial\'s folder ({{model_dir}}),',
            "  in the file metrics_eval_best_weights.json,",
            f"  and run the completed trials again: modeldir retry {quoted(search.path)}/*_*",
        ]
    if len(seen) < 2 or not seen[0] or len(set(seen)) > 1:  # noqa: PLR2004 - two to compare
        return _unused_seed(search, results, script)
    names = ", ".join(search.plan.space.domains)
    return [
        f"note: all {len(seen)} completed trials have the same metrics: does {script} use {names}?"
    ]
