"""Lightning: log each validation, stop a pruned trial, find the checkpoint to resume from.

    trainer = Trainer(default_root_dir=model_dir, callbacks=[ModeldirCallback()])
    trainer.fit(model, ckpt_path=last_checkpoint())

Works with `lightning` and with `pytorch_lightning`, whichever the script has imported.
"""

from __future__ import annotations

import sys
from typing import Any

from modeldir.errors import TrialPruned
from modeldir.integrations import _current

if "pytorch_lightning" in sys.modules and "lightning" not in sys.modules:
    from pytorch_lightning import Callback
else:
    from lightning.pytorch import Callback


class ModeldirCallback(Callback):
    """Logs the metrics of each validation, by epoch (as Lightning counts, from 0).

    If there are several validations per epoch, the step is the optimizer's. The training metrics of
    an epoch follow at its end, as `train/...`. A pruned trial ends before the next batch, when
    `ModelCheckpoint` has saved.
    """

    def __init__(self) -> None:
        self._pruned: TrialPruned | None = None
        self._training: dict[str, Any] = {}
        self._validation: set[str] = set()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._training = dict(trainer.callback_metrics)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        new = {
            name: value
            for name, value in trainer.callback_metrics.items()
            if value is not self._training.get(name)
        }
        self._validation.update(new)
        step = trainer.current_epoch if _is_per_epoch(trainer) else trainer.global_step
        self._pruned = _current.log(step, new)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero and _is_per_epoch(trainer):
            values = {
                f"train/{name.removeprefix('train_').removeprefix('train/')}": value
                for name, value in trainer.callback_metrics.items()
                if name not in self._validation
            }
            _current.log(trainer.current_epoch, values)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        if self._pruned is not None:
            raise self._pruned


def _is_per_epoch(trainer: Any) -> bool:
    return bool(trainer.val_check_batch >= trainer.num_training_batches)


def last_checkpoint() -> str | None:
    """Return the newest `.ckpt` file of an interrupted trial, for `ckpt_path`; else None.

    The script must save its checkpoints in the trial's folder.
    """
    path = _current.newest("*.ckpt")
    return None if path is None else str(path)
