"""Word the end of a search: what happened, what failed and why, what is best, what to type next.

`worker/worker.py` prints the lines of `summary`, made from the search's folder; nothing is decided
here. Progress while a search runs: `snapshots.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modeldir import samplers
from modeldir._system.durations import duration_text
from modeldir._system.shell import quoted
from modeldir.experiment import attempts, error_lines, experiment, repeats
from modeldir.experiment.attempts import console_file
from modeldir.metrics import objective
from modeldir.search import plan, worker_registry

if TYPE_CHECKING:
    from modeldir.search.ranking import Results
    from modeldir.search.search import Search
    from modeldir.search.trial_record import TrialRecord

_SHOWN = 3
"""How many trials with the same error are named."""


@dataclass(frozen=True)
class WorkerOutcome:
    """How a worker ended.

    `ended` counts its trials by status. `problem` says why the search stopped, if the user has to
    fix something. `limited`: it reached a limit of this command; the same command continues.
    `elsewhere`: trials that other workers still run. `comes_again`: the job manager will start its
    job again. `as_asked`: `modeldir stop` ended it, which is no failure for its job manager.
    """

    ended: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    problem: str | None = None
    stopped: bool = False
    limited: bool = False
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


def summary(search: Search, outcome: WorkerOutcome) -> list[str]:
    lines = [counted(outcome.ended) or _nothing_ran(search)]
    lines += [*_failures(search, outcome), *_older_failures(search, outcome), *_advice(search)]
    if outcome.elsewhere:
        lines.append(f"{outcome.elsewhere} running in other workers")
    lines += _used_up(search, outcome)
    results = search.results()
    best = results.best()
    if best is not None:
        mean = " (the mean of its repeats)" if search.plan.repeats > 1 else ""
        lines.append(f"best: {best.path}  {best.metric} {best.value:.6g}{mean}")
    lines += _front(search, results)
    suspicion = _suspicion(search, outcome, results)
    lines += suspicion or [f"advice: {sentence}" for sentence in results.advice()]
    if outcome.problem or not outcome.comes_again:
        lines.append(outcome.problem or _next(search, outcome))
    return lines


def _used_up(search: Search, outcome: WorkerOutcome) -> Iterator[str]:
    """Yield a line if the search space has fewer configurations than trials were asked for."""
    asked = search.plan.trials
    is_done = not (outcome.stopped or outcome.limited or outcome.problem or outcome.elsewhere)
    made = search.scheduler.observations.count()
    if asked is not None and made < asked and is_done and search.scheduler.reached() is None:
        points = "1 point" if made == 1 else f"{made} points"
        yield f"{points} of {asked} asked for: {samplers.why_exhausted(search.plan.sampler)}"


def _front(search: Search, results: Results) -> Iterator[str]:
    ranked = search.plan.objectives
    front = results.front() if len(ranked) > 1 else []
    if front:
        names = ", ".join(path.name for path in front[:_SHOWN])
        more = f" and {len(front) - _SHOWN} more" if len(front) > _SHOWN else ""
        yield f"Pareto front by {objective.describe(ranked)}: {names}{more}"
        options = objective.command_options(ranked)
        yield f"  the best by one: modeldir best {quoted(search.path)} {options}"


def _next(search: Search, outcome: WorkerOutcome) -> str:
    path, again = quoted(search.path), worker_registry.resume_command(search.path)
    if outcome.ended and set(outcome.ended) == {attempts.FAILED}:
        classes = {how_failed(search, r)[0] for r in _failed(search) if r.name in outcome.failed}
        if classes.isdisjoint(error_lines.FIXED_BY_CODE):
            return f"next: {_retry(search)}   then: {again}"
        last = quoted(search.path / outcome.failed[-1])
        return f"next: modeldir log {last}   then fix it, and: {again}"
    left = len(search.scheduler.pending()) + (search.scheduler.remaining() or 0)
    if left and (outcome.stopped or outcome.limited):
        return f"next: {again}   resumes: {left} remaining"
    return f"next: modeldir synthesize {path}"


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
    """Yield each error and where to read more; trials with the same error share a line."""
    same: dict[tuple[str, str], list[TrialRecord]] = {}
    failed = set(outcome.failed)
    for record in search.trials:
        if record.name in failed:
            same.setdefault(how_failed(search, record), []).append(record)
    for (failure, _), records in same.items():
        name = records[0].name if len(records) == 1 else f"{len(records)} trials"
        words = [_words(search.trials.status(record)) for record in records]
        first = "similar errors; the first: " if len(set(words)) > 1 else ""
        yield f"  {name} failed ({failure}): {first}{words[0]}"
        for record in records[:_SHOWN]:
            yield f"    {search.trials.path(record) / console_file()}"
        if len(records) > _SHOWN:
            yield f"    and {len(records) - _SHOWN} more"


def how_failed(search: Search, record: TrialRecord) -> tuple[str, str]:
    """Return the class of a trial's failure, and its error without the trial's own name."""
    status = search.trials.status(record)
    return str(status.failure), error_lines.masked(_words(status), record.name)


def _words(status: experiment.Status) -> str:
    return status.last_line or status.reason or "no output"


def _older_failures(search: Search, outcome: WorkerOutcome) -> Iterator[str]:
    """Yield the trials that failed before this worker came: they change the exit code."""
    older = [record for record in _failed(search) if record.name not in outcome.failed]
    if older:
        names = ", ".join(f"{each.name} ({how_failed(search, each)[0]})" for each in older[:_SHOWN])
        more = f" and {len(older) - _SHOWN} more" if len(older) > _SHOWN else ""
        yield f"  failed before: {names}{more}"


def _advice(search: Search) -> Iterator[str]:
    """Yield how failed trials run again: some after a change of the code, all by `retry`."""
    classes = {how_failed(search, record)[0] for record in _failed(search)}
    if not classes:
        return
    if classes <= error_lines.FIXED_BY_CODE:
        yield "  they run again once the code, the command or the environment has changed"
        yield f"  as they are: {_retry(search)}"
        return
    others = (
        ""
        if classes.isdisjoint(error_lines.FIXED_BY_CODE)
        else "   (errors also once the code has changed)"
    )
    yield f"  to run them again: {_retry(search)}{others}"
    limit = search.plan.trial_time_limit
    if error_lines.TIME_LIMIT in classes and limit is not None:
        again = f"{worker_registry.resume_command(search.path)} --trial-time-limit {2 * limit:g}s"
        yield f"  with more time than {duration_text(limit)}: then {again}"


def _retry(search: Search) -> str:
    return f"modeldir retry {quoted(search.path)}"


def _failed(search: Search) -> list[TrialRecord]:
    return [r for r in search.trials if search.trials.status(r).state == attempts.FAILED]


def _nothing_ran(search: Search) -> str:
    """Return a line for a worker that ran nothing: which trials there are, and why."""
    states = Counter(search.trials.status(record).state for record in search.trials)
    remaining, goal = search.scheduler.remaining(), search.plan.target
    reused = search.scheduler.observations.done_elsewhere()
    if not states and reused and not remaining:
        return f"nothing left to run: {reused} done elsewhere (reuse)"
    if not states:
        return "no trials"
    if not remaining:
        return f"nothing left to run: {counted(states)}"
    head = f"nothing was started: {counted(states)}"
    if goal is None or search.scheduler.reached() is None:
        return f"{head}, {remaining} remaining"
    total = sum(states.values()) + remaining
    return (
        f"{head}\n  target {goal:g} is reached; {remaining} of {total} not started; "
        f"to continue: {worker_registry.resume_command(search.path)} --target {plan.NONE}"
    )


def _unused_seed(search: Search, results: Results, script: str) -> list[str]:
    if search.plan.repeats <= 1:
        return []
    groups = results.by_configuration()
    if not repeats.seed_has_no_effect([[each.scores for each in group] for group in groups]):
        return []
    return [f"note: the repeats of each point have the same metrics: seed is not used by {script}"]


def _suspicion(search: Search, outcome: WorkerOutcome, results: Results) -> list[str]:
    seen = [
        tuple(sorted(each.scores.items()))
        for each in results.counted
        if search.trials.status(each.record).state == attempts.COMPLETED
    ]
    script = the_script(search.plan.command)
    if seen and not any(seen) and (outcome.ended.get(attempts.COMPLETED) or not outcome.ended):
        return [
            f"note: no metrics were found, so nothing can be compared. Let {script} write",
            '  metrics_eval_best_weights.json in its model_dir: {"accuracy": 0.97}',
            "  or take what it prints: --metrics 'accuracy: {accuracy}'",
            f"  what has completed runs again then by: modeldir retry {quoted(search.path)}/*_*",
        ]
    if len(seen) < 2 or not seen[0] or len(set(seen)) > 1:  # noqa: PLR2004 - two to compare
        return _unused_seed(search, results, script)
    names = ", ".join(search.plan.space.domains)
    return [
        f"note: all {len(seen)} completed trials have the same metrics: does {script} use {names}?"
    ]
