"""`RunningAverage`: the mean loss of an epoch, for training scripts.

It writes nothing. To record metrics, a script calls `run.log` or `save_metrics`.
"""

from __future__ import annotations

import math
from typing import Any


class RunningAverage:
    """The mean of the values so far, like the class in CS230's `utils.py`.

    >>> loss = RunningAverage()
    >>> loss.update(2.0)
    >>> loss.update(4.0, n=3)  # the mean of three
    >>> loss()
    3.5
    """

    def __init__(self) -> None:
        self.total = 0.0
        self.count = 0

    def update(self, value: Any, n: int = 1) -> None:
        """Count a value `n` times; `n` is usually the number of examples in the batch.

        `value` is anything that `float` accepts, for example a tensor of one element.
        """
        self.total += float(value) * n
        self.count += n

    def __call__(self) -> float:
        """Return the mean; NaN before the first value."""
        return self.total / self.count if self.count else math.nan
