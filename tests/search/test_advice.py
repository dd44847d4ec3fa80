"""What a search has shown: each sentence with its number, and none without evidence."""

from __future__ import annotations

import random
import statistics
from typing import TYPE_CHECKING, Any

import pytest
from scipy import stats

from modeldir.metrics.objective import Direction
from modeldir.search.advice import ENOUGH, FEWEST, Tried, advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syrupy.assertion import SnapshotAssertion

ACCURACY: tuple[str, Direction] = ("accuracy", "maximize")
RATE = {"learning_rate": {"log_uniform": [1e-5, 1e-1]}}


def tried(values: Sequence[float], **columns: Sequence[Any]) -> list[Tried]:
    """Trials by number, with their values and hyperparameters."""
    return [
        Tried(f"trial_{n}", n, {name: column[n] for name, column in columns.items()}, value)
        for n, value in enumerate(values)
    ]


def rates(best: float, count: int = 12) -> list[Tried]:
    """Trials over a range of learning rates, the better the nearer to one."""
    places = [each / (count - 1) for each in range(count)]
    values = [10 ** (-5 + 4 * place) for place in places]
    return tried([0.9 - abs(place - best) / 10 for place in places], learning_rate=values)


@pytest.mark.parametrize("best", [0.0, 1.0])
def test_the_best_at_the_border(best: float, snapshot: SnapshotAssertion) -> None:
    """Its value, the side and the range; by the logarithm where the range has that."""
    assert advice(rates(best), ACCURACY, {"space": RATE}) == snapshot


def test_a_best_within_its_range_is_not_spoken_of() -> None:
    """Nor one at the border whose next ones lie elsewhere, nor one of few trials."""
    assert advice(rates(0.5), ACCURACY, {"space": RATE}) == []
    alone = [*rates(0.4), Tried("lucky", 99, {"learning_rate": 0.1}, 0.99)]
    assert advice(alone, ACCURACY, {"space": RATE}) == []
    assert advice(rates(1.0)[-FEWEST + 1 :], ACCURACY, {"space": RATE}) == []


@pytest.mark.parametrize(
    ("domain", "values", "spoken"),
    [
        ([16, 32, 64, 128], [16, 32, 64, 128, 128, 128, 16, 32, 128, 64], True),
        ([16, 128], [16, 128] * 5, False),
        ([1000, 100, 10, 4, 1], [1000, 100, 10, 4, 4, 4, 1, 1, 100, 10], False),
        ([1000, 100, 10, 5, 4], [1000, 100, 10, 4, 4, 4, 5, 5, 100, 10], True),
        (["a", "b", "c"], ["a", "b", "c", "a", "b", "c", "c", "c", "c", "c"], False),
        ({"int": [1, 4]}, [1, 2, 3, 4, 4, 4, 1, 2, 4, 3], True),
        ({"uniform": "wrong"}, [1] * 10, False),
        (3, [3] * 10, False),
    ],
)
def test_borders_of_all_kinds(domain: object, values: list[Any], spoken: bool) -> None:  # noqa: FBT001 - parametrized
    """Lists of numbers have ends, of words or two values they have none; a plan may be wrong.

    A value that others of the list lie beyond is at no end, however near it is to them.
    """
    scores = [0.9 if each in {128, 4, "c"} else 0.5 for each in values]
    found = advice(tried(scores, x=values), ACCURACY, {"space": {"x": domain}})
    assert bool(found) is spoken


@pytest.mark.parametrize(("first", "spoken"), [(3, False), (4, True)])
def test_of_a_list_only_the_last_value_is_its_end(first: int, spoken: bool) -> None:  # noqa: FBT001 - parametrized
    """What lies beyond the best was tried, however near to the end that is."""
    values = [*range(first, first + 100)]
    found = tried([0.9 - abs(each - 4) / 1000 for each in values], x=values)
    assert bool(advice(found, ACCURACY, {"space": {"x": values}})) is spoken


@pytest.mark.parametrize("gap", [0.001, 0.2])
def test_the_noise_over_seeds(gap: float, snapshot: SnapshotAssertion) -> None:
    """Welch's interval of the difference, in numbers, whichever way it comes out."""
    found = [
        Tried("wide", 0, {}, 0.9, 0.01, 3),
        Tried("deep", 1, {}, 0.9 - gap, 0.02, 3),
        Tried("flat", 2, {}, 0.1, 0.02, 3),
    ]
    assert advice(found, ACCURACY, {}) == snapshot


def test_the_interval_holds_what_it_promises() -> None:
    """Of 2,000 pairs of points that are equally good, the noise is seen through in few."""
    rng = random.Random(230)
    wrong = 0
    for _ in range(2000):
        points = []
        for name in ("a", "b"):
            values = [rng.gauss(0.5, 0.1) for _ in range(4)]
            mean, spread = statistics.fmean(values), statistics.stdev(values)
            points.append(Tried(name, None, {}, mean, spread, 4))
        (sentence,) = advice(points, ACCURACY, {})
        wrong += "more than random seeds explain" in sentence
    assert wrong / 2000 < 0.06


@pytest.mark.parametrize("repeats", [(2, 2), (3, 5), (7, 40)])
def test_the_interval_is_that_of_scipy(repeats: tuple[int, int]) -> None:
    """Welch's, whatever the number of seeds and however different the scatter."""
    rng = random.Random(repeats[0])
    ours = [rng.gauss(0.9, 0.01) for _ in range(repeats[0])]
    theirs = [rng.gauss(0.7, 0.03) for _ in range(repeats[1])]
    points = [
        Tried(name, None, {}, statistics.fmean(each), statistics.stdev(each), len(each))
        for name, each in (("a", ours), ("b", theirs))
    ]
    (sentence,) = advice(points, ACCURACY, {})
    interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    gap, reach = (interval.high + interval.low) / 2, (interval.high - interval.low) / 2
    assert f"by {gap:.3g} ± {reach:.2g} in accuracy" in sentence
    assert ("more than random seeds explain" in sentence) is bool(interval.low > 0)


def test_without_repeats_nothing_is_said_of_noise() -> None:
    """One value of each says nothing of how it scatters; nor do repeats that are all the same."""
    assert advice([Tried("a", 0, {}, 0.9), Tried("b", 1, {}, 0.1)], ACCURACY, {}) == []
    same = [Tried("a", 0, {}, 0.9, 0.0, 3), Tried("b", 1, {}, 0.1, 0.0, 3)]
    assert advice(same, ACCURACY, {}) == []


def random_search(count: int) -> list[Tried]:
    """Trials in which the learning rate counts for all, and the dropout for nothing."""
    rng = random.Random(1)
    rate = [rng.random() for _ in range(count)]
    dropout = [rng.random() for _ in range(count)]
    scores = [1 - abs(each - 0.4) for each in rate]
    return tried(scores, learning_rate=rate, dropout=dropout)


SPACE = {"learning_rate": {"uniform": [0, 1]}, "dropout": {"uniform": [0, 1]}}


@pytest.mark.parametrize("sampler", ["random", {"tpe": {"startup": 20}}])
def test_what_hardly_matters(sampler: object, snapshot: SnapshotAssertion) -> None:
    """With the most that it explains; of a sampler that learns, among what it tried."""
    plan = {"space": SPACE, "sampler": sampler}
    assert advice(random_search(400), ACCURACY, plan) == snapshot
    assert advice(random_search(ENOUGH - 1), ACCURACY, plan) == []


@pytest.mark.parametrize(
    ("best", "sampler"), [(5, "tpe"), (38, "tpe"), (25, "tpe"), (5, "random"), (5, "grid")]
)
def test_whether_more_trials_would_help(
    best: int, sampler: str, snapshot: SnapshotAssertion
) -> None:
    """By when the best came where trials learn; by the law of chance where they do not."""
    scores = [0.5 + (n % 7) / 100 for n in range(40)]
    scores[best] = 0.9
    assert advice(tried(scores), ACCURACY, {"sampler": sampler}) == snapshot


def test_at_most_three_sentences_and_never_an_error() -> None:
    """Whatever lies in the plan and in the values."""
    plan = {"space": {**RATE, "x": {"int": [1, 3]}}, "sampler": "tpe"}
    found = [
        Tried(str(n), None, {"learning_rate": 0.1, "x": n % 3 + 1}, 1 + n / 100, 0.01, 2)
        for n in range(80)
    ]
    assert len(advice(found, ("loss", "minimize"), plan)) == 3
    assert advice([], ACCURACY, {"space": [], "sampler": 3, "auto": []}) == []
    nan = [Tried("a", 0, {"x": None}, float("nan"))] * 30
    assert advice(nan, ACCURACY, plan) == []
