"""Contract tests for pruners, and rungs in memory.

Users inherit `PrunerContract`. A simulated trial is a list of values, one for each step. The
protocols: `modeldir.pruners.Pruner` and `modeldir.pruners.Rungs`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modeldir.metrics.objective import Direction
    from modeldir.pruners import Pruner, Rungs

TRIALS = 24
STEPS = 30


class SharedRungs:
    """The values that all trials of a simulated search have recorded, by rung and trial number."""

    def __init__(self) -> None:
        self.rungs: dict[int, dict[int, float]] = {}

    def of_trial(self, number: int, *, passed: Iterable[int] = ()) -> FakeRungs:
        """Return the rungs of one trial, which had `passed` some of them before an interruption."""
        return FakeRungs(self, number, frozenset(passed))


class FakeRungs:
    """The rungs of one simulated trial: a pruner is made with them."""

    def __init__(
        self, shared: SharedRungs, number: int, passed: frozenset[int] = frozenset()
    ) -> None:
        self.number = number
        self.recorded: list[int] = []
        self._shared, self._passed = shared, passed

    def record(self, rung: int, value: float) -> Mapping[int, float]:
        """Record this trial's value at a rung; returns the values of all trials there."""
        self.recorded.append(rung)
        values = self._shared.rungs.setdefault(rung, {})
        values[self.number] = value
        return dict(values)

    def values(self, rung: int) -> Mapping[int, float]:
        """Return the values of all trials at a rung."""
        return dict(self._shared.rungs.get(rung, {}))

    def passed(self, rung: int) -> bool:
        """Return whether this trial had reached a rung before it was interrupted."""
        return rung in self._passed


class PrunerContract:
    """Tests that every pruner must pass. Inherit from it and say how yours is made.

        class TestMine(PrunerContract):
            def make(self, rungs, direction):
                return Mine(rungs, direction, patience=3)

    Each trial is a list of values, one for each step. Trials run one after another, and then in
    parallel.
    """

    def make(self, rungs: Rungs, direction: Direction) -> Pruner:
        """Return the pruner to test, for the trial that has these rungs."""
        raise NotImplementedError

    def test_a_single_trial_continues(self) -> None:
        """A single trial is never stopped: there is nothing to compare it with."""
        for value in (0.5, -math.inf, math.nan):
            assert self._ends([[value] * STEPS]) == [None]

    def test_equal_trials_continue(self) -> None:
        """Trials with equal values are never stopped: none is worse than the others."""
        assert self._ends([[0.5] * STEPS] * TRIALS) == [None] * TRIALS

    def test_the_best_trial_continues(self) -> None:
        """A trial that is ahead at every step is never stopped, in either direction."""
        for place in (0, 1, TRIALS // 2, TRIALS - 1):
            for direction in _DIRECTIONS:
                assert self._ends(_curves(place, direction), direction)[place] is None
                assert self._ends_together(_curves(place, direction), direction)[place] is None

    def test_minimize_mirrors_maximize(self) -> None:
        """Trials with negated values end at the same steps when the direction is minimize."""
        curves = _curves(5, "maximize")
        upside_down = [[-value for value in curve] for curve in curves]
        assert self._ends(curves, "maximize") == self._ends(upside_down, "minimize")

    def test_nan_is_the_worst(self) -> None:
        """A trial whose values are NaN ends where the worst trial would."""
        curves = _curves(0, "maximize")
        worst = self._ends([*curves, [-1e9] * STEPS])[-1]
        nan = self._ends([*curves, [math.nan] * STEPS])[-1]
        assert nan == worst

    def test_it_says_why(self) -> None:
        """The reason is one line that completes `accuracy 0.71 at step 3: `."""
        for words in self._words(_curves(0, "maximize")):
            assert words is None or (words == words.strip() and words and "\n" not in words)

    def test_the_same_values_give_the_same_decisions(self) -> None:
        """A new pruner that sees the same values decides the same: it has no hidden state."""
        curves = _curves(3, "maximize")
        assert self._words(curves) == self._words(curves)

    def test_steps_may_skip_and_begin_anywhere(self) -> None:
        """Steps may have gaps, begin at 0 or at 1000, and may be reported twice."""
        for steps in (range(1, 90, 3), range(1000, 31000, 1000), range(STEPS), [0, 0, 1, 1, 5]):
            pruner = self.make(SharedRungs().of_trial(1), "maximize")
            assert [pruner.should_prune(step, 0.5) for step in steps] == [None] * len(list(steps))

    def test_a_trial_that_was_interrupted_leaves_no_later_value_at_a_rung(self) -> None:
        """After an interruption, a trial records nothing at the rungs that it had passed."""
        shared = SharedRungs()
        before = shared.of_trial(1)
        first = self.make(before, "maximize")
        for step in range(1, 11):
            first.should_prune(step, step / 100)
        left = {rung: dict(values) for rung, values in shared.rungs.items()}
        after = shared.of_trial(1, passed=before.recorded)
        again = self.make(after, "maximize")
        for step in range(11, STEPS):
            again.should_prune(step, step / 100)
        assert not set(after.recorded) & set(before.recorded)
        assert {rung: shared.rungs[rung] for rung in left} == left

    def _words(
        self, curves: list[list[float]], direction: Direction = "maximize"
    ) -> list[str | None]:
        """Return why each trial ends, if they run one after another."""
        shared = SharedRungs()
        found = []
        for number, curve in enumerate(curves, start=1):
            pruner = self.make(shared.of_trial(number), direction)
            words = (pruner.should_prune(step, value) for step, value in enumerate(curve, start=1))
            found.append(next((each for each in words if each is not None), None))
        return found

    def _ends(
        self, curves: list[list[float]], direction: Direction = "maximize"
    ) -> list[int | None]:
        """Return the step at which each trial is stopped, if they run one after another."""
        shared = SharedRungs()
        found = []
        for number, curve in enumerate(curves, start=1):
            pruner = self.make(shared.of_trial(number), direction)
            ends = (
                step
                for step, value in enumerate(curve, start=1)
                if pruner.should_prune(step, value) is not None
            )
            found.append(next(ends, None))
        return found

    def _ends_together(self, curves: list[list[float]], direction: Direction) -> list[int | None]:
        """Return the same as `_ends` for trials that run in parallel, one step each in turn."""
        shared = SharedRungs()
        pruners = [
            self.make(shared.of_trial(number), direction) for number in range(1, len(curves) + 1)
        ]
        found: list[int | None] = [None] * len(curves)
        for step in range(1, STEPS + 1):
            for place, (pruner, curve) in enumerate(zip(pruners, curves, strict=True)):
                if found[place] is None and pruner.should_prune(step, curve[step - 1]) is not None:
                    found[place] = step
        return found


_DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize")


def _curves(best: int, direction: Direction) -> list[list[float]]:
    """Return learning curves that never cross; the one with index `best` is ahead of all."""
    ranks = [(7 * place) % (TRIALS - 1) for place in range(TRIALS)]  # in mixed order
    ranks[best] = TRIALS
    sign = 1 if direction == "maximize" else -1
    return [
        [sign * (rank / TRIALS - 1 / (step + 1)) for step in range(1, STEPS + 1)] for rank in ranks
    ]
