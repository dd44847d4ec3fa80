"""What every pruner has to keep, as tests that a pruner of one's own can inherit.

It knows rungs in memory and trials that are a list of numbers. It refuses to know any pruner.
`modeldir.testing` is where users find it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeldir.metrics.metrics import Direction
    from modeldir.pruners import Pruner, Rungs

TRIALS = 24
STEPS = 30


class Table:
    """What all trials of a simulated search leave at their rungs: in memory."""

    def __init__(self) -> None:
        self.rungs: dict[int, dict[int, float]] = {}

    def seen_by(self, number: int, *, passed: Iterable[int] = ()) -> MemoryRungs:
        """The rungs as one trial sees them; at those `passed` it was before an interruption."""
        return MemoryRungs(self, number, frozenset(passed))


class MemoryRungs:
    """The rungs of a simulated search, for one trial: what a pruner is made with."""

    def __init__(self, table: Table, number: int, passed: frozenset[int] = frozenset()) -> None:
        self.number = number
        self.recorded: list[int] = []
        self._table, self._passed = table, passed

    def record(self, rung: int, value: float) -> Mapping[int, float]:
        """Leave a value; all that were left there."""
        self.recorded.append(rung)
        values = self._table.rungs.setdefault(rung, {})
        values[self.number] = value
        return dict(values)

    def values(self, rung: int) -> Mapping[int, float]:
        """All that were left at a rung."""
        return dict(self._table.rungs.get(rung, {}))

    def passed(self, rung: int) -> bool:
        """Whether this trial was there before it was interrupted."""
        return rung in self._passed


class PrunerContract:
    """Tests for a pruner of your own, to be inherited where your tests are:

        class TestMine(PrunerContract):
            def make(self, rungs, direction):
                return Mine(rungs, direction, patience=3)

    Each trial is a list of values, one a step; they run one after the other, and then interleaved.
    """

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        """The pruner to test, for the trial that these rungs are of."""
        raise NotImplementedError

    def test_a_lone_trial_goes_on(self) -> None:
        """There is nothing that it could be worse than."""
        for value in (0.5, -math.inf, math.nan):
            assert self._ends([[value] * STEPS]) == [None]

    def test_equals_go_on_together(self) -> None:
        """Nobody is worse than the others."""
        assert self._ends([[0.5] * STEPS] * TRIALS) == [None] * TRIALS

    def test_the_best_goes_on(self) -> None:
        """Wherever it comes, whichever way is better: at each step it is ahead of all others."""
        for place in (0, 1, TRIALS // 2, TRIALS - 1):
            for direction in _DIRECTIONS:
                assert self._ends(_curves(place, direction), direction)[place] is None
                assert self._ends_together(_curves(place, direction), direction)[place] is None

    def test_small_is_good_as_large_is(self) -> None:
        """The same trials upside down end at the same steps."""
        curves = _curves(5, "maximize")
        upside_down = [[-value for value in curve] for curve in curves]
        assert self._ends(curves, "maximize") == self._ends(upside_down, "minimize")

    def test_nan_is_the_worst(self) -> None:
        """A trial whose values are no numbers ends wherever the worst of all would."""
        curves = _curves(0, "maximize")
        worst = self._ends([*curves, [-1e9] * STEPS])[-1]
        nan = self._ends([*curves, [math.nan] * STEPS])[-1]
        assert nan == worst

    def test_it_says_why(self) -> None:
        """In words that complete `accuracy 0.71 at step 3: `."""
        for words in self._words(_curves(0, "maximize")):
            assert words is None or (words == words.strip() and words and "\n" not in words)

    def test_the_same_values_are_judged_alike(self) -> None:
        """It keeps nothing but what it was told: made again, it says the same."""
        curves = _curves(3, "maximize")
        assert self._words(curves) == self._words(curves)

    def test_steps_may_skip_and_begin_anywhere(self) -> None:
        """Steps 1, 4, 7, or 1000, 2000, or those from 0 on; and one that is said twice."""
        for steps in (range(1, 90, 3), range(1000, 31000, 1000), range(STEPS), [0, 0, 1, 1, 5]):
            pruner = self.make(Table().seen_by(1), "maximize")
            assert [pruner.should_prune(step, 0.5) for step in steps] == [None] * len(list(steps))

    def test_a_trial_that_was_interrupted_leaves_no_later_value_at_a_rung(self) -> None:
        """It goes on behind the rungs at which it was: there its first value counts."""
        table = Table()
        before = table.seen_by(1)
        first = self.make(before, "maximize")
        for step in range(1, 11):
            first.should_prune(step, step / 100)
        left = {rung: dict(values) for rung, values in table.rungs.items()}
        after = table.seen_by(1, passed=before.recorded)
        again = self.make(after, "maximize")
        for step in range(11, STEPS):
            again.should_prune(step, step / 100)
        assert not set(after.recorded) & set(before.recorded)
        assert {rung: table.rungs[rung] for rung in left} == left

    def _words(
        self, curves: list[list[float]], direction: Direction = "maximize"
    ) -> list[str | None]:
        """Why each trial ends, of several that run one after the other."""
        table = Table()
        found = []
        for number, curve in enumerate(curves, start=1):
            pruner = self.make(table.seen_by(number), direction)
            words = (pruner.should_prune(step, value) for step, value in enumerate(curve, start=1))
            found.append(next((each for each in words if each is not None), None))
        return found

    def _ends(
        self, curves: list[list[float]], direction: Direction = "maximize"
    ) -> list[int | None]:
        """The step at which each ends early, of several that run one after the other."""
        table = Table()
        found = []
        for number, curve in enumerate(curves, start=1):
            pruner = self.make(table.seen_by(number), direction)
            ends = (
                step
                for step, value in enumerate(curve, start=1)
                if pruner.should_prune(step, value) is not None
            )
            found.append(next(ends, None))
        return found

    def _ends_together(self, curves: list[list[float]], direction: Direction) -> list[int | None]:
        """As `_ends`, of several that run side by side, a step each in turn."""
        table = Table()
        pruners = [
            self.make(table.seen_by(number), direction) for number in range(1, len(curves) + 1)
        ]
        found: list[int | None] = [None] * len(curves)
        for step in range(1, STEPS + 1):
            for place, (pruner, curve) in enumerate(zip(pruners, curves, strict=True)):
                if found[place] is None and pruner.should_prune(step, curve[step - 1]) is not None:
                    found[place] = step
        return found


_DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize")


def _curves(best: int, direction: Direction) -> list[list[float]]:
    """Learning curves that never cross, the one at a place ahead of all others."""
    ranks = [(7 * place) % (TRIALS - 1) for place in range(TRIALS)]  # mixed, and of all sizes
    ranks[best] = TRIALS
    sign = 1 if direction == "maximize" else -1
    return [
        [sign * (rank / TRIALS - 1 / (step + 1)) for step in range(1, STEPS + 1)] for rank in ranks
    ]
