"""XGBoost: log each round, stop a pruned trial, and resume.

xgboost.train(
params, data, remaining(200), evals=[(validation, "val")],
callbacks=[ModeldirCallback()], xgb_model=last_model(),
)
"""

from __future__ import annotations

from typing import Any

from xgboost import Booster
from xgboost.callback import TrainingCallback

from modeldir.integrations import _boosting, _current

_LAST = "last_model.ubj"


class ModeldirCallback(TrainingCallback):
    """Logs the metrics of each round (as XGBoost prints it, from 0).

    Saves the model every `save_every` rounds.
    """

    def __init__(self, save_every: int = 10) -> None:
        super().__init__()
        self.save_every = save_every

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        rounds = model.num_boosted_rounds()
        if rounds % self.save_every == 0 and isinstance(model, Booster):  # `cv` has no model
            _boosting.save(_LAST, bytes(model.save_raw("ubj")))
        scores = [
            (data, metric, values[-1] if isinstance(values[-1], float) else values[-1][0])
            for data, metrics in evals_log.items()
            for metric, values in metrics.items()
        ]  # `cv` has pairs of a mean and a standard deviation
        pruned = _current.log(rounds - 1, _boosting.named(scores))
        if pruned is not None:
            raise pruned
        return False


def last_model() -> str | None:
    """Return the last saved model of an interrupted trial, for `xgb_model`; else None."""
    path = _current.newest(_LAST)
    return None if path is None else str(path)


def remaining(rounds: int) -> int:
    """Return how many of `rounds` are left to train after `last_model()`."""
    path = last_model()
    return rounds if path is None else rounds - Booster(model_file=path).num_boosted_rounds()
