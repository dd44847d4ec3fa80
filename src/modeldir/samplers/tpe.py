"""TPE: points that are likely among the good trials and unlikely among the others, by Optuna.

Multivariate (hyperparameters are sampled together), in groups (those with a condition apart), and
with trials that still run counted among the bad ones, so that workers keep away from each other.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; Watanabe,
"Tree-Structured Parzen Estimator", arXiv:2304.11127, 2023. For several metrics: Ozaki et al.,
"Multiobjective Tree-Structured Parzen Estimator", JAIR 73, 2022.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import STARTUP, OptunaSampler
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.startup import StartupSampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.samplers import BaseSampler

    from modeldir.space import Space


class TPE(OptunaSampler):
    """The tree-structured Parzen estimator.

    Args:
        startup: how many trials end before it learns.
        candidates: how many points are compared for each proposal.
    """

    minimums: ClassVar[Mapping[str, int]] = {"startup": 0, "candidates": 1}
    """The smallest value of each option that is an integer."""

    def __init__(
        self,
        space: Space,
        seed: int,
        objectives: Objectives = (),
        *,
        startup: int = STARTUP,
        candidates: int = 24,
    ) -> None:
        super().__init__(space, seed, objectives)
        self._startup, self._candidates = startup, candidates
        self._start = StartupSampler(space, seed)

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        """Nothing but that Optuna is missing."""
        del space, objectives
        yield from missing_packages("tpe", "optuna")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        if self._history.count_learnable() < self._startup:
            return self._start.ask(number)
        with quietly():
            values = self._history.ask(make_tpe(seed, self._startup, self._candidates))
        return Proposal(self._point(values))


def make_tpe(seed: int, startup: int, candidates: int = 24) -> BaseSampler:
    """Optuna's sampler, as it is used here."""
    import optuna  # noqa: PLC0415 - heavy, and an extra

    return optuna.samplers.TPESampler(
        seed=seed,
        multivariate=True,
        group=True,
        constant_liar=True,
        n_startup_trials=startup,
        n_ei_candidates=candidates,
    )
