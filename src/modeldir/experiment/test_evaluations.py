"""Count how often the test set was evaluated: each evaluation makes the next one worth less.

The tables and the report call `count`. An evaluation is a recorded run of a script that begins with
`eval` or `test` and left test metrics; test metrics without one count once. Printing a table again
does not count. Runs that were not recorded are unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from modeldir.experiment import attempts
from modeldir.metrics import metric_files

_EVALUATING = ("eval", "test")


def count(folder: Path, names: Sequence[str]) -> int:
    """Return how often the test metrics in a folder were computed; `names` are the files in it."""
    kinds = (metric_files.classify(name) for name in names if name.startswith("metrics_"))
    if not any(kind is not None and kind.split == "test" for kind in kinds):
        return 0
    runs = (
        attempts.read(folder, number, script)
        for script in attempts.scripts(names)
        if script.startswith(_EVALUATING)
        for number in attempts.numbers(list(names), script)
    )
    return max(1, sum(run.end == attempts.COMPLETED for run in runs))


def describe(counts: Iterable[int]) -> str | None:
    """Return all evaluations as text; None if there was none.

    >>> describe([0, 2, 1]), describe([1]), describe([0])
    ('evaluated 3 times, in 2 experiments', 'evaluated once', None)
    """
    evaluated = [each for each in counts if each]
    if not evaluated:
        return None
    times = "once" if sum(evaluated) == 1 else f"{sum(evaluated):,} times"
    where = f", in {len(evaluated):,} experiments" if len(evaluated) > 1 else ""
    return f"evaluated {times}{where}"
