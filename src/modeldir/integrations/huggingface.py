"""Hugging Face: log each evaluation of a `Trainer`, stop a pruned trial, find the checkpoint.

trainer = Trainer(..., callbacks=[ModeldirCallback()])
trainer.train(resume_from_checkpoint=last_checkpoint())
"""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from modeldir.errors import TrialPruned
from modeldir.integrations import _current

_NO_METRIC = ("_runtime", "_per_second", "_time", "epoch")
"""Endings of names that say how long an evaluation took, or when it was."""


class ModeldirCallback(TrainerCallback):
    """Logs the metrics of each evaluation, by epoch if there is one per epoch, else by step.

    A pruned trial ends before its next step, when the checkpoint is saved.
    """

    _pruned: TrialPruned | None = None

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        step = round(state.epoch) if args.eval_strategy == "epoch" else state.global_step
        kept = {
            name: value
            for name, value in metrics.items()
            if not name.endswith(_NO_METRIC) and isinstance(value, (int, float))
        }
        self._pruned = _current.log(step, kept)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._pruned is not None:
            raise self._pruned


def last_checkpoint() -> str | None:
    """Return the newest complete `checkpoint-N` folder of an interrupted trial; else None.

    `output_dir` must be in the trial's folder.
    """
    path = _current.newest("checkpoint-*/trainer_state.json")  # the Trainer writes it last
    return None if path is None else str(path.parent)
