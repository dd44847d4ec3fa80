"""LightGBM: log each round, stop a pruned trial, and resume.

lightgbm.train(
params, data, remaining(200), valid_sets=[validation],
callbacks=[ModeldirCallback()], init_model=last_model(),
)
"""

from __future__ import annotations

from typing import Any

from lightgbm import Booster

from modeldir.integrations import _boosting, _current

_LAST = "last_model.txt"


class ModeldirCallback:
    """Logs the metrics of each round, from 1, and saves the model every `save_every` rounds."""

    order = 25  # before LightGBM's early stopping (30), which ends the training run

    def __init__(self, save_every: int = 10) -> None:
        self.save_every = save_every

    def __call__(self, env: Any) -> None:
        rounds = env.iteration + 1
        if rounds % self.save_every == 0 and isinstance(env.model, Booster):  # `cv` has several
            _boosting.save(_LAST, env.model.model_to_string(num_iteration=-1).encode())
        scores = [tuple(result[:3]) for result in env.evaluation_result_list or ()]
        pruned = _current.log(rounds, _boosting.named(scores))
        if pruned is not None:
            raise pruned


def last_model() -> str | None:
    """Return the last saved model of an interrupted trial, for `init_model`; else None."""
    path = _current.newest(_LAST)
    return None if path is None else str(path)


def remaining(rounds: int) -> int:
    """Return how many of `rounds` are left to train after `last_model()`."""
    path = last_model()
    return rounds if path is None else rounds - Booster(model_file=path).current_iteration()
