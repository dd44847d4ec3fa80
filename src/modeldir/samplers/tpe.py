"""TPE: propose configurations that are likely among good trials and unlikely among bad ones.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; Watanabe,
arXiv:2304.11127, 2023; for several metrics Ozaki et al., JAIR 73, 2022. Optuna does the work, with
hyperparameters sampled together. Running trials count as bad, so parallel workers keep apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import STARTUP, OptunaSampler
from modeldir.samplers.quiet_optuna import quietly

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.samplers import BaseSampler

    from modeldir.space import Space


class TPE(OptunaSampler):
    """The tree-structured Parzen estimator.

    Args:
        startup: the number of trials that end before it learns.
        candidates: the number of configurations that it compares for each proposal.
    """

    minimums: ClassVar[Mapping[str, int]] = {"startup": 0, "candidates": 1}
    """The smallest allowed value of each integer option."""

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

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        del space, objectives
        yield from missing_packages("tpe", "optuna")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        if self._history.count_learnable() < self._startup:
            return self._start(number)
        with quietly():
            values = self._history.ask(make_tpe(seed, self._startup, self._candidates))
        return Proposal(self._space.complete(values))


def make_tpe(seed: int, startup: int, candidates: int = 24) -> BaseSampler:
    """Make Optuna's TPE sampler with the settings that `tpe` and `gp` share."""
    import optuna  # noqa: PLC0415 - heavy, and an extra

    return optuna.samplers.TPESampler(
        seed=seed,
        multivariate=True,
        group=True,
        constant_liar=True,
        n_startup_trials=startup,
        n_ei_candidates=candidates,
    )
