"""Keras: log each epoch, stop a pruned trial, and resume.

model.fit(..., callbacks=[ModeldirCallback()])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras.callbacks import BackupAndRestore, Callback

from modeldir.errors import TrialPruned
from modeldir.integrations import _current


class ModeldirCallback(Callback):
    """Logs the metrics of each epoch (as Keras counts, from 0).

    Saves the model after each epoch in `backup/`, in the trial's folder, and continues an
    interrupted trial from there. It does so by Keras' own `BackupAndRestore`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pruned: TrialPruned | None = None
        self._backup: Any = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        run = _current.current_run()
        if run is None:
            return
        _current.resumed_folder()
        # A kill while it saves may leave half of a file: so it keeps the one before, too.
        self._backup = BackupAndRestore(run.model_dir / "backup", double_checkpoint=True)
        self._backup.set_model(self.model)
        self._backup.on_train_begin()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._pruned is not None:
            raise self._pruned

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._backup is not None:
            self._backup.on_epoch_end(epoch)
        self._pruned = _current.log(epoch, logs or {})

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._backup is not None:
            self._backup.on_train_end()
