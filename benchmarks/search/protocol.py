"""The measurements, fixed before anything ran: tasks, methods, seeds, budgets, and statistics.

A change here changes the question, so report it beside the results.

Three questions:

final     100 trials one after another, ten seeds: methods that cost next to nothing
few       30 trials one after another, three seeds: also `gp`; and one seed of the slowest peers
stopping  the epochs of 32 full training runs (32 x 27) on 4 workers, with or without stopping

The rules of `auto` were chosen with the tables and seeds in TUNING; none of them is in TASKS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TASKS = (
    "hpolib/naval_propulsion",
    "hpolib/protein_structure",
    "hpolib/slice_localization",
    "hpobench/segment",
    "hpobench/phoneme",
    "hpobench/credit_g",
    "nasbench201/cifar10",
    "nasbench201/imagenet",
    "curves/clean",
    "curves/noisy",
    "live/clean",
)
"""Regressors of 9 mixed hyperparameters, classifiers of 5 ordered ones, architectures of 6 texts,
two kinds of learning curves of 6 mixed ones, a continuous space of 7 that is trained live."""

TUNING = (
    "hpolib/parkinsons_telemonitoring",
    "hpobench/vehicle",
    "hpobench/car",
    "hpobench/australian",
    "nasbench201/cifar100",
    "live/noisy",
)

CURVES = ("curves/clean", "curves/noisy")

CHEAP = ("random", "sobol", "tpe", "auto", "optuna", "hyperopt")
SLOW = ("gp", "smac", "syne-tune", "ax")
SLOWEST = ("smac", "syne-tune", "ax")
"""One seed, for their cost: a third of a second to two seconds a trial."""

FINAL_TRIALS, FINAL_SEEDS = 100, 10
FEW_TRIALS, FEW_SEEDS = 30, 3
TUNING_SEEDS = 6
STOPPING_EPOCHS, STOPPING_SEEDS, STOPPING_WORKERS = 32 * 27, 10, 4
SLOW_STOPPING_SEEDS = 3
QUARTER = STOPPING_EPOCHS // 4
"""The budget at which early stopping should reach random search's final value."""

RESAMPLES = 10_000
"""Bootstrap samples of tasks (of seeds, where a figure is of one task), for intervals of 95%."""


@dataclass(frozen=True)
class Run:
    """One search. Two equal runs have one result."""

    question: str
    task: str
    method: str
    seed: int
    budget: int
    asha: bool = False

    @property
    def workers(self) -> int:
        """Return the number of workers: several only if trials are stopped."""
        return STOPPING_WORKERS if self.question == "stopping" else 1


def runs(question: str, methods: tuple[str, ...] | None = None) -> Iterator[Run]:
    """Return all runs of a question, one seed of everything before the next."""
    makers = {
        "final": _final,
        "few": _few,
        "stopping": _stopping,
        "tuning": _tuning,
        "quick": _quick,
    }
    for run in sorted(makers[question](), key=lambda run: run.seed):
        if methods is None or run.method in methods:
            yield run


def _final() -> Iterator[Run]:
    for seed in range(FINAL_SEEDS):
        for task in TASKS:
            for method in CHEAP:
                yield Run("final", task, method, seed, FINAL_TRIALS)


def _few() -> Iterator[Run]:
    """Return the runs of `few`. The cheap methods but `auto` ignore the budget: see `final`."""
    for seed in range(FEW_SEEDS):
        for task in TASKS:
            for method in (*SLOW, "auto"):
                if method not in SLOWEST or seed == 0:
                    yield Run("few", task, method, seed, FEW_TRIALS)


def _stopping() -> Iterator[Run]:
    for task in CURVES:
        for asha in (False, True):
            for seed in range(STOPPING_SEEDS):
                for method in ("random", "sobol", "tpe", "auto", "optuna"):
                    yield Run("stopping", task, method, seed, STOPPING_EPOCHS, asha)
            for seed in range(SLOW_STOPPING_SEEDS):
                yield Run("stopping", task, "gp", seed, QUARTER if asha else STOPPING_EPOCHS, asha)


def _tuning() -> Iterator[Run]:
    """Return the runs by which the rules of `auto` were chosen. No table shows them."""
    for seed in range(TUNING_SEEDS):
        for task in TUNING:
            for method in ("random", "sobol", "tpe", "gp"):
                yield Run("tuning", task, method, seed, FEW_TRIALS)


def _quick() -> Iterator[Run]:
    """Return small runs on data of this repository, which show whether it still works."""
    for seed in range(3):
        for task in ("curves/clean", "curves/noisy"):
            for method in ("random", "sobol", "tpe", "auto", "optuna", "hyperopt"):
                yield Run("quick", task, method, seed, FEW_TRIALS)
