"""The end of a search in words: what happened, what failed and why, what is best, what is next.

It knows how to say it, from the folders. It refuses to print and to decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modeldir import attempts, experiment
from modeldir.supervisor import console_file

if TYPE_CHECKING:
    from modeldir.search import Search


@dataclass(frozen=True)
class Outcome:
    """How a worker's stay ended: the trials that ended in it, by status, and why it stopped.

    `failed` are the names of those that failed in it. `problem` is set when the search stopped
    because of a mistake that the user should mend, `stopped` when it was asked to (Ctrl-C);
    `elsewhere` counts trials that other workers still run.
    """

    ended: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    problem: str | None = None
    stopped: bool = False
    elsewhere: int = 0

    @property
    def exit_code(self) -> int:
        """0 all well, 1 some trial failed or was left behind, 2 wrong use, 130 interrupted."""
        if self.problem is not None:
            return 2
        if self.stopped:
            return 130
        left = (attempts.FAILED, attempts.INTERRUPTED, attempts.WAITING)
        return 1 if any(self.ended.get(state) for state in left) else 0


def summary(search: Search, outcome: Outcome) -> list[str]:
    """The last lines of a search."""
    lines = [counted(outcome.ended) or _nothing_left(search), *_failures(search, outcome)]
    if outcome.elsewhere:
        lines.append(f"{outcome.elsewhere} running in other workers")
    best = search.best()
    if best is not None:
        lines.append(f"best: {best.path}  {best.metric} {best.value:.6g}")
    lines += _suspicion(search)
    if outcome.problem:
        lines.append(outcome.problem)
    elif outcome.stopped:
        lines.append(f"next: modeldir search {search.path}   goes on where this stopped")
    else:
        lines.append(f"next: modeldir synthesize {search.path}")
    return lines


def counted(states: Mapping[str, int]) -> str:
    """Counts in words.

    >>> counted({"failed": 1, "completed": 2})
    '2 completed, 1 failed'
    """
    return ", ".join(f"{states[state]} {state}" for state in sorted(states))


def the_script(command: str | None) -> str:
    """How to call what a command runs.

    >>> the_script("python train.py --data_dir data"), the_script("./go")
    ('train.py', 'the script')
    """
    words = (command or "").split()
    return next((word for word in words if word.endswith(".py")), "the script")


def _failures(search: Search, outcome: Outcome) -> Iterator[str]:
    failed = set(outcome.failed)
    for record in search.trials:
        if record.name in failed:
            status = search.trials.status(record)
            words = status.last_line or status.reason
            yield f"  {record.name} failed ({status.failure}): {words}"
            yield f"    {search.trials.path(record) / console_file()}"


def _nothing_left(search: Search) -> str:
    """What stands in for the counts when nothing ran: what is there, and why it was left."""
    states = Counter(search.trials.status(record).state for record in search.trials)
    if not states:
        return "no trials"
    left = f"nothing left to run: {counted(states)}"
    if states[attempts.FAILED]:
        left += "\n  failed trials run again when the code or the environment has changed"
    return left


def _suspicion(search: Search) -> list[str]:
    """Identical metrics at different values: the script may not use what the search varies."""
    seen = [
        tuple(sorted(experiment.scores(search.trials.path(record)).development.items()))
        for record in search.trials
        if search.trials.status(record).state == attempts.COMPLETED
    ]
    if len(seen) < 2 or not seen[0] or len(set(seen)) > 1:  # noqa: PLR2004 - two to compare
        return []
    names = ", ".join(search.plan.space.domains)
    script = the_script(search.plan.command)
    return [
        f"note: all {len(seen)} completed trials have the same metrics: does {script} use {names}?"
    ]
