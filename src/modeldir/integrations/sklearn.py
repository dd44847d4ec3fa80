"""scikit-learn: cross-validation that logs each fold, stops a pruned trial, and resumes.

    from modeldir.integrations.sklearn import cross_validate

It replaces `sklearn.model_selection.cross_validate`, with the same arguments and the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.base import is_classifier

from modeldir.integrations import _current
from modeldir.metrics import metric_files


def cross_validate(  # noqa: PLR0913 - scikit-learn's arguments
    estimator: Any,
    X: Any,  # noqa: N803 - scikit-learn's name
    y: Any = None,
    *,
    groups: Any = None,
    scoring: Any = None,
    cv: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """Cross-validate as scikit-learn does, and log the mean of the scores after each fold.

    Folds run one after the other. The step is the number of folds so far, and the mean of all folds
    is the trial's result. A pruner compares trials after the same folds, so `cv` must split in the
    same way in each trial. An interrupted trial continues with its next fold.

    Args:
        estimator: a classifier or regressor; each fold trains a clone of it.
        X: the data.
        y: the target.
        groups: the groups of the samples, for splitters that need them.
        scoring: one metric or several; by default accuracy or R².
        cv: the number of folds (default: 5), or a splitter.
        options: other arguments of `sklearn.model_selection.cross_validate`.

    Returns:
        What scikit-learn returns: an array over the folds for each name, such as `test_score`.
    """
    run = _current.current_run()
    found: dict[str, Any] = dict((run.restore() if run is not None else None) or {})
    done = len(found.get("fit_time", ()))
    splitter = model_selection.check_cv(cv, y, classifier=is_classifier(estimator))
    for fold, split in enumerate(splitter.split(X, y, groups), 1):
        if fold > done:
            one = model_selection.cross_validate(
                estimator, X, y, scoring=scoring, cv=[split], **options
            )
            found = {name: np.append(found.get(name, ()), value) for name, value in one.items()}
        if run is not None and fold >= done:  # again the last one: it may not have been logged
            run.save_checkpoint(found)
            run.log(fold, dict(_means(found, _name_of(scoring, estimator))))
    if run is not None and found:
        run.save_checkpoint(found)  # this also writes the files of the metrics
        means = metric_files.validation_metrics(dict(_means(found, _name_of(scoring, estimator))))
        # The best of the means may be that of fewer folds.
        metric_files.save_metrics(means, run.model_dir / metric_files.EVAL_BEST)
    return found


def _name_of(scoring: Any, estimator: Any) -> str:
    """Return the name of the metric that scikit-learn calls `score`."""
    if scoring is None:
        return "accuracy" if is_classifier(estimator) else "r2"
    return scoring if isinstance(scoring, str) else "score"


def _means(found: Mapping[str, Any], default: str) -> Iterator[tuple[str, float]]:
    """Yield the mean of each score: `log_loss`, positive, for scikit-learn's `neg_log_loss`."""
    for key, values in found.items():
        split, _, name = key.partition("_")
        if split not in ("test", "train"):  # times
            continue
        name = default if name == "score" else name
        sign = -1 if name.startswith("neg_") else 1
        prefix = "train/" if split == "train" else ""
        yield prefix + name.removeprefix("neg_"), sign * float(np.mean(values))
