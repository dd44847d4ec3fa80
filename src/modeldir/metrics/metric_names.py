"""Read a metric's name: which way the metric is better, and which split of the data it names.

`objective` chooses the metric to rank by with it; tables and plots ask `direction` too. The rule: a
wrong direction ranks the worst experiment first, so a name that is not known has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from modeldir import errors

Direction: TypeAlias = Literal["maximize", "minimize"]

# fmt: off
_LARGE_IS_GOOD = frozenset({
    # classification
    "acc", "accuracy", "f1", "f2", "fbeta", "f1score", "f1macro", "f1micro", "precision",
    "prec", "ppv", "npv", "recall", "sensitivity", "specificity", "tpr", "tnr", "auc", "auroc",
    "rocauc", "aucpr", "auprc", "prauc", "mcc", "kappa", "qwk", "corrcoef", "map", "ap", "em",
    "exact_match", "correct", "c_index", "cindex", "concordance",
    # ranking and retrieval
    "ndcg", "dcg", "mrr", "hit", "hits",
    # text
    "bleu", "sacrebleu", "chrf", "gleu", "meteor", "cider", "spice", "bertscore", "rouge",
    "rougel", "rouge_l", "rougelsum", "rouge_lsum", "pass",
    # images and signals
    "iou", "miou", "dice", "jaccard", "jaccard_index", "psnr", "ssim", "msssim", "snr", "sdr",
    "sisdr", "sisnr", "pesq", "stoi", "mos", "pq",
    # regression and probability
    "r2", "rsquared", "explained_variance", "pearson", "pearsonr", "spearman", "spearmanr",
    "kendalltau", "corr", "correlation", "similarity", "likelihood", "loglikelihood", "loglik",
    "elbo",
    # reinforcement learning
    "reward", "rewards", "rew", "return", "returns", "success", "win", "winrate", "solved",
})
_SMALL_IS_GOOD = frozenset({
    "loss", "losses", "error", "errors", "err", "cost", "regret",
    # classification and probability
    "logloss", "mlogloss", "merror", "nll", "nloglik", "nelbo", "perplexity", "ppl", "ce",
    "bce", "nce", "xent", "xe", "cross_entropy", "crossentropy", "brier", "ece", "hinge",
    "deviance", "kl", "kld", "kldiv", "kl_div", "divergence", "focal", "fpr", "fnr", "eer",
    "bpb", "bpc", "bpd",
    # regression
    "mse", "rmse", "rmsle", "msle", "nmse", "nrmse", "mae", "mape", "smape", "wape", "mase",
    "medae", "huber", "logcosh", "crps", "pinball", "epe", "ade", "fde", "mpjpe", "hd95",
    "hausdorff",
    # text, speech and images
    "wer", "cer", "ter", "mer", "der", "fid", "kid", "lpips",
})
# fmt: on
_WEAK: dict[str, Direction] = {"score": "maximize", "scores": "maximize", "top": "maximize"}
"""Words that only decide if none before them does: `brier_score` is small if it is good."""

_ENDINGS = frozenset({
    "mean", "avg", "average", "median", "epoch", "step", "best", "last", "final", "min", "max",
    "total", "ema", "smooth", "macro", "micro", "weighted", "ovr", "ovo", "at", "k", "rate",
    "value", "percent", "pct", "eval", "val", "valid", "validation", "dev", "test", "train",
    "training",
})  # fmt: skip
"""Last words that say how a metric was computed or on what, but not what it is."""

_ALONE = frozenset({"l1", "l2"})
"""LightGBM's names of the two errors: `l2` is one, and `weights_l2` is a norm."""

_SIGNS = frozenset({"neg", "negative", "minus"})
_VALIDATION = frozenset({"eval", "val", "valid", "validation", "dev"})
_TRAINING = frozenset({"train", "training"})
_PROGRESS = frozenset({
    "epoch", "epochs", "step", "steps", "global_step", "iteration", "iterations", "second",
    "seconds", "time", "runtime", "duration", "elapsed", "timestamp",
})  # fmt: skip
_OPPOSITE: dict[Direction, Direction] = {"maximize": "minimize", "minimize": "maximize"}


def direction(name: str) -> Direction | None:
    """Return which value of a metric is better, or None if its name does not say it.

    The last word decides, without digits and without words such as `mean`, `epoch` and `val`. A
    word such as `neg` before it turns the direction around.

    >>> direction("val/mlogloss_epoch"), direction("eval_ndcg@10"), direction("grad_norm")
    ('minimize', 'maximize', None)
    """
    return _decided(name)[1]


def deciding_word(name: str) -> str:
    """Return the word of a name that says what is measured; empty if none is known.

    >>> deciding_word("val/top1_acc_epoch")
    'acc'
    """
    return _decided(name)[0]


def is_of_validation(name: str) -> bool:
    """Return whether a name says that the metric is of the validation set."""
    return not _VALIDATION.isdisjoint(words(name))


def is_of_training(name: str) -> bool:
    return not _TRAINING.isdisjoint(words(name))


def is_of_progress(name: str) -> bool:
    """Return whether a name tells how far or how long a run was, not how good its model is.

    >>> is_of_progress("epoch"), is_of_progress("train_seconds"), is_of_progress("inference_time")
    (True, True, False)
    """
    return re.sub(r"(?i)^(?:train|training|eval|total)[/_]", "", name).lower() in _PROGRESS


def is_of_test(name: str) -> bool:
    return "test" in words(name)


def did_you_mean(name: str, known: Sequence[str]) -> str | None:
    """Return a hint with the metric that an unknown name most likely means, or None.

    The last part of a metric's path, or its beginning, is enough for the hint, but ranks nothing.

    >>> did_you_mean("acc", ["epoch", "val/acc_best"])
    "did you mean 'val/acc_best'?"
    """
    by_end = {each.rpartition("/")[2]: each for each in reversed(known)}
    begun = (each for each in by_end if len(name) > 1 and each.startswith(name))
    found = (
        by_end.get(name)
        or errors.closest(name, known)
        or by_end.get(errors.closest(name, [*by_end]) or next(begun, ""))
    )
    return f"did you mean {found!r}?" if found else None


def words(name: str) -> list[str]:
    """Return the words of a metric's name in lower case.

    >>> words("val/acc@1_mean")
    ['val', 'acc', '1', 'mean']
    """
    name = re.sub(r"\([A-Z]\)$", "", name)  # YOLO's boxes and masks: metrics/mAP50-95(B)
    return [word for word in re.split(r"[\W_]+", name.lower()) if word]


def _apart(name: str) -> str:
    """Return a name with blanks between its words: `MulticlassAccuracy`, `valLoss`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


def _decided(name: str) -> tuple[str, Direction | None]:
    """Return the word that decides, and the direction."""
    for found in (words(name), words(_apart(name))):
        place = _place_of_the_metric(found)
        weak = None
        while place >= 0 and _bare(found[place]) in _WEAK:
            weak = weak or found[place]
            place = _place_of_the_metric(found[:place])
        word, known = _known(found, place)
        if known is None and weak is not None:
            word, known = weak, _WEAK[_bare(weak)]
        if known is not None:
            is_turned = not _SIGNS.isdisjoint(found[: max(place, 0)])
            return word, _OPPOSITE[known] if is_turned else known
    return "", None


def _place_of_the_metric(found: list[str]) -> int:
    """Return the index of the last word that says what is measured; -1 if none does."""
    place = len(found) - 1
    while place >= 0 and (found[place] in _ENDINGS or not _bare(found[place])):
        place -= 1
    return place


def _known(found: list[str], place: int) -> tuple[str, Direction | None]:
    """Return the word at an index with its direction: with the words before it, or alone."""
    if place < 0:
        return "", None
    before, word = found[:place], found[place]
    if before[-2:] == ["bits", "per"]:  # a byte, a character, a dimension
        return word, "minimize"
    if word in _ALONE:
        others = {*_ENDINGS, "s"}  # valid_0's l2
        is_alone = all(each in others or not _bare(each) for each in before)
        return word, "minimize" if is_alone else None
    for each in ("_".join([*before[-1:], word]), word, _bare(word)):  # f1 and r2 have a digit
        if each in _LARGE_IS_GOOD:
            return each, "maximize"
        if each in _SMALL_IS_GOOD:
            return each, "minimize"
    return word, None


def _bare(word: str) -> str:
    return word.rstrip("0123456789")
