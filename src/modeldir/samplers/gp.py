"""GP: a Gaussian process over the space, asked where it expects most, by Optuna.

For few trials that take long: an ask takes seconds when hundreds have ended. It needs PyTorch, so
it is an extra of its own. It learns of completed trials. A hyperparameter whose condition is not
met counts as the middle of its domain.

Optuna's is after Hutter et al. 2011 and Snoek et al., "Practical Bayesian Optimization of Machine
Learning Algorithms", NeurIPS 2012, with LogEI by Ament et al., NeurIPS 2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from modeldir.samplers import Objectives, Problem, Proposal, missing_packages
from modeldir.samplers._optuna import STARTUP, OptunaSampler
from modeldir.samplers.quiet_optuna import quietly
from modeldir.samplers.startup import StartupSampler
from modeldir.samplers.tpe import make_tpe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modeldir.space import Space


NEAR = 0.005
"""A proposal nearer than this to a trial, in parts of each axis, would show nothing new.

A process that is sure of itself too early goes on and on at one place: on a space of six
hyperparameters it proposed 20 times out of 25 the same point but for the third digit. Then TPE is
asked instead, which looks further round the good trials.
"""


class GP(OptunaSampler):
    """Bayesian optimization with a Gaussian process.

    Args:
        startup: how many trials end before it learns.
    """

    minimums: ClassVar[Mapping[str, int]] = {"startup": 1}
    """The smallest value of each option that is an integer."""

    def __init__(
        self, space: Space, seed: int, objectives: Objectives = (), *, startup: int = STARTUP
    ) -> None:
        super().__init__(space, seed, objectives, fill_inactive=True)
        self._startup = startup
        self._start = StartupSampler(space, seed)

    @staticmethod
    def find_problems(space: Space, objectives: Objectives) -> Iterator[Problem]:
        """Nothing but that a package is missing."""
        del space, objectives
        yield from missing_packages("gp", "optuna", "torch", "scipy")

    def _propose(self, number: int, seed: int) -> Proposal | None:
        if self._history.count_completed() < self._startup:
            return self._start.ask(number)
        import optuna  # noqa: PLC0415 - heavy, and an extra

        with quietly(), _one_thread():
            process = optuna.samplers.GPSampler(
                seed=seed, n_startup_trials=self._startup, warn_independent_sampling=False
            )
            values = self._history.ask(process)
            if self._history.nearest_distance(values) < NEAR:
                values = self._history.ask(make_tpe(seed, self._startup))
        return Proposal(self._point(values))


def _one_thread() -> Any:
    """With one thread: with many, on a busy machine, an ask took ten times as long; and the same
    sums in another order would be other proposals.
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
