"""Student's t against tables and against SciPy: a wrong third digit is a wrong "beats"."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from modeldir.search import statistics

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values of Student's t.
TABLE = {
    (0.90, 1): 3.078, (0.95, 1): 6.314, (0.975, 1): 12.706, (0.99, 1): 31.821,
    (0.90, 4): 1.533, (0.95, 4): 2.132, (0.975, 4): 2.776, (0.99, 4): 3.747,
    (0.90, 10): 1.372, (0.95, 10): 1.812, (0.975, 10): 2.228, (0.99, 10): 2.764,
    (0.90, 30): 1.310, (0.95, 30): 1.697, (0.975, 30): 2.042, (0.99, 30): 2.457,
    (0.975, 100): 1.984, (0.99, 100): 2.364,
}  # fmt: skip


@pytest.mark.parametrize(("chance", "degrees"), TABLE)
def test_quantiles_are_those_of_the_printed_table(chance: float, degrees: int) -> None:
    """To the three decimals that are printed."""
    assert round(statistics.quantile(chance, degrees), 3) == TABLE[chance, degrees]


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 29, 100, 999, 10**6])
def test_quantiles_are_those_of_scipy(degrees: int) -> None:
    """Also far out in the tails, and on the lower side."""
    for chance in (1e-6, 0.005, 0.3, 0.6, 0.975, 0.99166, 0.9999, 1 - 1e-6, 1 - 1e-12):
        ours, theirs = statistics.quantile(chance, degrees), stats.t.ppf(chance, degrees)
        assert ours == pytest.approx(theirs, rel=1e-8)
        assert statistics.distribution(ours, degrees) == pytest.approx(chance, abs=1e-11)


def test_the_paired_interval_is_that_of_scipy() -> None:
    """Mean, interval and sign; for 2 pairs and for 50."""
    rng = random.Random(1)
    for count in (2, 3, 5, 50):
        ours = [rng.gauss(0.9, 0.01) for _ in range(count)]
        theirs = [value - rng.gauss(0.01, 0.02) for value in ours]
        for level in (0.95, 0.99):
            found = statistics.paired(ours, theirs, level)
            expected = stats.ttest_rel(ours, theirs).confidence_interval(level)
            assert found is not None
            assert found.low == pytest.approx(expected.low, rel=1e-9)
            assert found.high == pytest.approx(expected.high, rel=1e-9)
            assert found.count == count


def test_of_fewer_than_two_pairs_there_is_no_interval() -> None:
    """One difference says nothing about how it scatters."""
    assert statistics.paired([1.0], [2.0]) is None
    assert statistics.paired([], []) is None


def test_the_number_of_pairs_shows_the_difference_as_often_as_it_says() -> None:
    """By 2,000 simulated comparisons: between 77 and 87 of 100 see it (the sum of two quantiles is
    a little more careful than the exact power, and rounded up).
    """
    count = statistics.pairs_to_see(0.5, 1.0, 0.95)
    assert count is not None
    rng = random.Random(2)
    seen = 0
    for _ in range(2000):
        differences = [rng.gauss(0.5, 1.0) for _ in range(count)]
        found = statistics.paired(differences, [0.0] * count)
        seen += found is not None and found.low > 0
    assert 0.77 < seen / 2000 < 0.87


def test_what_no_number_of_pairs_would_show_is_none() -> None:
    """A difference of nothing, and one that would take more than a thousand."""
    assert statistics.pairs_to_see(0.0, 1.0, 0.95) is None
    assert statistics.pairs_to_see(1e-6, 1.0, 0.95) is None
    assert statistics.pairs_to_see(1.0, 0.0, 0.95) == 2


def test_an_interval_holds_as_often_as_it_says() -> None:
    """Of 2,000 intervals for 95 % about 95 in 100 hold the true difference."""
    rng = random.Random(3)
    held = 0
    for _ in range(2000):
        found = statistics.paired([rng.gauss(1.0, 2.0) for _ in range(5)], [0.0] * 5)
        held += found is not None and found.low <= 1.0 <= found.high
    assert math.isclose(held / 2000, 0.95, abs_tol=0.015)
