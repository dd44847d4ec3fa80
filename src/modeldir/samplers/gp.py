"""GP: Bayesian optimization with Optuna's Gaussian process, for few, long trials.

It needs PyTorch, the extra `modeldir[gp]`. Optuna follows Hutter et al. 2011 and Snoek et al.,
"Practical Bayesian Optimization of Machine Learning Algorithms", NeurIPS 2012, with LogEI by Ament
et al., NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import STARTUP, OptunaSampler
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.tpe import make_tpe
from modeldir.space import Space

NEAR = 0.005
"""A proposal nearer than this to a trial, as a fraction of each axis, would show nothing new.

A Gaussian process that is too confident proposes nearly the same configuration repeatedly. With six
hyperparameters, 20 of 25 proposals differed only in the third digit. TPE then proposes instead: it
explores more around the good trials.
"""


class GP(OptunaSampler):
    """Bayesian optimization with a Gaussian process.

    Args:
        startup: the number of trials that complete before it learns.
    """

    minimums: ClassVar[Mapping[str, int]] = {"startup": 1}
    """The smallest allowed value of each integer option."""

    def __init__(
        self, space: Space, seed: int, objectives: Objectives = (), *, startup: int = STARTUP
    ) -> None:
        super().__init__(space, seed, objectives, fill_inactive=True)
        self._startup = startup

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        del space, objectives
        yield from missing_packages("gp", "optuna", "torch", "scipy")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        if self._history.count_completed() < self._startup:
            return self._start(number)
        import optuna  # noqa: PLC0415 - heavy, and an extra

        with quietly(), _one_thread():
            process = optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=self._startup, warn_independent_sampling=False
            )
            values = self._history.ask(process)
            if self._history.nearest_distance(values) < NEAR:
                values = self._history.ask(make_tpe(seed, self._startup))
        return Proposal(self._space.complete(values))


def _one_thread() -> Any:
    """Limit PyTorch to one thread.

    With many threads on a busy machine, an ask took ten times as long. Another order of floating
    point sums would also change the proposals.
    """
    import contextlib  # noqa: PLC0415

    import torch  # noqa: PLC0415 - heavy, and an extra

    @contextlib.contextmanager
    def limited() -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    return limited()
