"""How often somebody looked at test metrics: each look makes the next one worth less.

A look is an evaluation that left test metrics: each recorded run of an evaluating script that
ended well (`modeldir run DIR -- python evaluate.py`: `evaluate.run.json`; `eval...` and `test...`
too), and at least one where test metrics lie, whoever wrote them. Showing a table again is none:
who has seen a number has seen it. It refuses to count what nobody recorded: the number is the least
that it can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from modeldir.experiment import attempts
from modeldir.metrics import metrics

_EVALUATES = ("eval", "test")


def count(folder: Path, names: Sequence[str]) -> int:
    """How often the test metrics in a folder were made; `names` are the files in it."""
    kinds = (metrics.classify(name) for name in names if name.startswith("metrics_"))
    if not any(kind is not None and kind.split == "test" for kind in kinds):
        return 0
    runs = (
        attempts.read(folder, number, script)
        for script in attempts.scripts(names)
        if script.startswith(_EVALUATES)
        for number in attempts.numbers(list(names), script)
    )
    return max(1, sum(run.end == attempts.COMPLETED for run in runs))


def describe(counts: Iterable[int]) -> str | None:
    """All looks in words; None where there was none.

    >>> describe([0, 2, 1]), describe([1]), describe([0])
    ('looked at 3 times, in 2 experiments', 'looked at once', None)
    """
    looked = [each for each in counts if each]
    if not looked:
        return None
    often = "once" if sum(looked) == 1 else f"{sum(looked):,} times"
    return f"looked at {often}" + (f", in {len(looked):,} experiments" if len(looked) > 1 else "")
