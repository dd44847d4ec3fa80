"""Code that XGBoost and LightGBM share: metric names, and the file of the last model.

The two modules of these names use it. The rest of the package shares `_current`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from modeldir._system import files
from modeldir.integrations import _current


def named(scores: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Return scores of (data set, metric, value) by modeldir's names.

    A data set with "train" in its name is the training set. The last other one is the validation
    set, as for XGBoost's early stopping.

    >>> named([("train", "auc", 0.9), ("valid_0", "auc", 0.7), ("valid_1", "auc", 0.8)])
    {'train/auc': 0.9, 'valid_0/auc': 0.7, 'val/auc': 0.8}
    """
    listed = list(scores)
    others = [data for data, _, _ in listed if not re.search("train", data)]
    splits = {data: "train" for data, _, _ in listed if re.search("train", data)}
    splits.update({others[-1]: "val"} if others else {})
    return {f"{splits.get(data, data)}/{metric}": value for data, metric, value in listed}


def save(name: str, model: bytes) -> None:
    """Replace the last model in the run's folder in one step."""
    run = _current.current_run()
    if run is not None:
        files.write_bytes(run.model_dir / name, model)
