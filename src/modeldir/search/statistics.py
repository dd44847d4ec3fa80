"""Student's t: how far the mean of a few values may be from the truth, and the paired t-test.

`modeldir confirm`, the advice and the importance use it. SciPy has the distribution too, and is 40
MB; these are the 30 lines of it that modeldir needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = 10_000
_TINY = 1e-300
_ENOUGH = 1e-15
_ROUNDING = 1e-14
_MOST_PAIRS = 1000


@dataclass(frozen=True)
class Interval:
    """A confidence interval of a true mean, with the sample's mean, deviation and count."""

    mean: float
    low: float
    high: float
    count: int
    deviation: float


def paired(ours: Sequence[float], theirs: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return how much larger ours are, pair by pair; None for fewer than two pairs.

    Student's t test of the differences (Student, Biometrika 6, 1908): what a seed does to both
    sides cancels out, so it detects smaller differences than a test of two unpaired groups.

    >>> paired([3.0, 4.0, 5.0], [2.0, 2.0, 2.0]).count
    3
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    count = len(differences)
    if count < 2:  # noqa: PLR2004 - one difference has no deviation
        return None
    mean = math.fsum(differences) / count
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in differences) / (count - 1))
    if deviation < _ROUNDING * max(map(abs, [*ours, *theirs])):
        deviation = 0.0  # 0.9 - 0.8 is not 0.7 - 0.6
    reach = quantile((1 + level) / 2, count - 1) * deviation / math.sqrt(count)
    return Interval(mean, mean - reach, mean + reach, count, deviation)


def pairs_to_see(difference: float, deviation: float, level: float) -> int | None:
    """Return how many pairs detect a difference with 80 % probability; None for more than 1,000.

    >>> pairs_to_see(1.0, 1.0, 0.95)
    10
    """

    def is_enough(count: int) -> bool:
        both = quantile((1 + level) / 2, count - 1) + quantile(0.8, count - 1)
        return both * deviation / math.sqrt(count) <= abs(difference)

    if not difference or not is_enough(_MOST_PAIRS):
        return None
    low, high = 1, _MOST_PAIRS  # the interval gets shorter with each pair
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def distribution(t: float, degrees: float) -> float:
    """Return the probability that Student's t is at most `t`.

    >>> round(distribution(2.776445, 4), 6)
    0.975
    """
    whole = degrees + t * t
    tail = _beta(degrees / 2, 0.5, degrees / whole, t * t / whole) / 2
    return tail if t < 0 else 1 - tail


def quantile(chance: float, degrees: float) -> float:
    """Return the t that is not exceeded with this probability, which is between 0 and 1.

    >>> round(quantile(0.975, 4), 3)
    2.776
    """
    if chance < 0.5:  # noqa: PLR2004 - it is symmetric
        return -quantile(1 - chance, degrees)
    # Newton's method, on the tail. The tail falls ever more slowly, so no step goes too far.
    t, tail = 0.0, 1 - chance
    while (further := t + (distribution(-t, degrees) - tail) / _density(t, degrees)) > t:
        t = further
    return t


def _density(t: float, degrees: float) -> float:
    log_middle = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)
    log_fall = (degrees + 1) / 2 * math.log1p(t * t / degrees)
    return math.exp(log_middle - log_fall) / math.sqrt(degrees * math.pi)


def _beta(a: float, b: float, x: float, y: float) -> float:
    """Return the regularized incomplete beta function (DLMF 8.17.1); `y` is 1 - x, exact."""
    if x <= 0 or y <= 0:
        return float(y <= 0)
    if x > (a + 1) / (a + b + 2):  # where the fraction would be slow: DLMF 8.17.4
        return 1 - _beta(b, a, y, x)
    log_front = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * (math.log1p(-y) if y < x else math.log(x)) + b * math.log(y)
    )  # fmt: skip
    return math.exp(log_front) / a / _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Compute the continued fraction of DLMF 8.17.22 (Lentz's method; Thompson, Barnett, 1986)."""
    value = c = 1.0
    d = 0.0
    for step in range(1, _STEPS):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + term * d or _TINY)
        c = 1 + term / c or _TINY
        value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value
