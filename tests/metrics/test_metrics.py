"""Metrics: what counts as one, which value is better, and how the files are named."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import MetricsError
from modeldir.metrics.metric_files import (
    EVAL_BEST,
    EVAL_LAST,
    MetricsFile,
    as_json,
    classify,
    read_metrics,
    save_metrics,
)
from modeldir.metrics.metric_names import direction
from modeldir.metrics.objective import better, choose
from modeldir.metrics.running_average import RunningAverage

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion


# -- Reading files ---------------------------------------------------------------------------------


def test_reads_the_numbers_of_a_file_and_nothing_else(tmp_path: Path) -> None:
    """Numbers and numbers written as text are metrics; truth values, words and lists are not."""
    file = tmp_path / "metrics.json"
    file.write_text(
        '{"accuracy": 0.97, "epoch": 3, "loss": "0.25", "converged": true, "note": "good",'
        ' "curve": [1, 2], "nothing": null, "eval": {"top5": {"accuracy": 0.99}}}'
    )
    assert read_metrics(file) == {
        "accuracy": 0.97,
        "epoch": 3.0,
        "loss": 0.25,
        "eval/top5/accuracy": 0.99,
    }


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    """The table shows epoch 3, not 3.0; and what an epoch can never be becomes a float."""
    file = tmp_path / "metrics.json"
    file.write_text(f'{{"epoch": 3, "accuracy": 1.0, "huge": {2**53 + 2}}}')
    assert repr(read_metrics(file)) == ("{'epoch': 3, 'accuracy': 1.0, 'huge': 9007199254740994.0}")


@pytest.mark.parametrize("text", ["NaN", '"nan"', '"NaN"', '"-nan"'])
def test_nan_is_kept_as_nan(tmp_path: Path, text: str) -> None:
    """A loss that became NaN is a fact, so it is read as NaN and not dropped."""
    file = tmp_path / "metrics.json"
    file.write_text(f'{{"loss": {text}}}')
    assert math.isnan(read_metrics(file)["loss"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Infinity", math.inf),
        ('"-inf"', -math.inf),
        ("1e999", math.inf),
        (f"-1{'0' * 400}", -math.inf),
    ],
)
def test_what_no_float_can_hold_is_infinite(tmp_path: Path, text: str, value: float) -> None:
    """Infinities, also those that are only too large, come back with their sign."""
    file = tmp_path / "metrics.json"
    file.write_text(f'{{"loss": {text}}}')
    assert read_metrics(file) == {"loss": value}


@pytest.mark.parametrize("text", ["1_000", "0x10", "1,5", "٣", "", " ", "nano", "1e"])
def test_text_that_only_looks_like_a_number_is_no_metric(tmp_path: Path, text: str) -> None:
    """Python's float() is more generous than a metrics file should be."""
    file = tmp_path / "metrics.json"
    file.write_text(json.dumps({"version": text}))
    assert read_metrics(file) == {}


def test_a_missing_file_has_no_metrics(tmp_path: Path) -> None:
    """A training that has not measured yet is no error."""
    assert read_metrics(tmp_path / "metrics.json") == {}
    assert read_metrics(__file__ + "/metrics.json") == {}


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Some editors on Windows put one at the front."""
    file = tmp_path / "metrics.json"
    file.write_bytes(b'\xef\xbb\xbf{"accuracy": 0.5}')
    assert read_metrics(file) == {"accuracy": 0.5}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b'{"accuracy": 0.9', id="half written"),
        pytest.param(b'{\n    "accuracy": 0.9,\n    "loss": }\n', id="broken"),
        pytest.param(b"[0.9]", id="a list"),
        pytest.param(b"0.9", id="a number"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"\xff": 1}', id="not text"),
    ],
)
def test_a_broken_file_is_named_with_the_reason(
    tmp_path: Path, data: bytes, snapshot: SnapshotAssertion
) -> None:
    """The message says which file and what is wrong with it, by line and column."""
    file = tmp_path / "metrics.json"
    file.write_bytes(data)
    with pytest.raises(MetricsError) as caught:
        read_metrics(file)
    assert str(caught.value).replace(str(tmp_path), "experiments/a") == snapshot


def test_too_deep_nesting_is_a_broken_file(tmp_path: Path) -> None:
    """A hostile file cannot end the table with a RecursionError."""
    file = tmp_path / "metrics.json"
    file.write_text('{"a":' * 100_000)
    with pytest.raises(MetricsError, match="cannot be read as JSON"):
        read_metrics(file)


def test_a_file_that_cannot_be_read_is_not_a_missing_one(tmp_path: Path) -> None:
    """A folder in the file's place is reported, since metrics may lie behind it."""
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(MetricsError, match="cannot be read"):
        read_metrics(tmp_path / "metrics.json")


# -- Writing files ---------------------------------------------------------------------------------


def test_scalars_of_numpy_become_plain_numbers(tmp_path: Path) -> None:
    """The usual values in a training loop are written as plain JSON."""
    file = tmp_path / EVAL_BEST
    save_metrics(
        {
            "accuracy": np.float64(0.97),
            "loss": np.float32(0.5),
            "epoch": np.int64(3),
            "steps": np.array([7]),
            "part": Decimal("0.25"),
            "eval": {"f1": np.array(0.75)},
            "converged": np.bool_(True),
        },
        file,
    )
    assert json.loads(file.read_text()) == {
        "accuracy": 0.97,
        "loss": 0.5,
        "epoch": 3,
        "steps": 7,
        "part": 0.25,
        "eval": {"f1": 0.75},
        "converged": True,
    }


def test_nan_and_infinity_are_written_so_that_any_json_reader_takes_them(tmp_path: Path) -> None:
    """JSON has no NaN; null would say that nothing was measured."""
    file = tmp_path / EVAL_LAST
    save_metrics({"loss": math.nan, "perplexity": np.float32("inf"), "score": -math.inf}, file)
    assert json.loads(file.read_text(), parse_constant=pytest.fail) == {
        "loss": "nan",
        "perplexity": "inf",
        "score": "-inf",
    }


@given(st.dictionaries(st.text(), st.floats() | st.integers(-(2**53), 2**53)))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, metrics: dict[str, float]
) -> None:
    """Every float and every name survives the way through the file."""
    file = tmp_path_factory.getbasetemp() / "metrics.json"
    save_metrics(metrics, file)
    back = read_metrics(file)
    assert {name: repr(value) for name, value in metrics.items()} == {
        name: repr(value) for name, value in back.items()
    }


def test_all_that_is_no_number_is_listed_at_once(
    tmp_path: Path, snapshot: SnapshotAssertion
) -> None:
    """One message is enough to fix the whole call, and no file is made."""
    with pytest.raises(MetricsError) as caught:
        save_metrics(
            {
                "accuracy": 0.9,
                "losses": np.zeros((3, 2)),
                "name": "baseline",
                "eval": {"f1": None, "z": 1j},
                "long": list(range(100)),
            },
            tmp_path / "metrics.json",
        )
    assert str(caught.value) == snapshot
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message names the file that was asked for, not the temporary one beside it."""
    file = tmp_path / "missing" / "metrics.json"
    with pytest.raises(MetricsError, match="cannot be written: No such file") as caught:
        save_metrics({"accuracy": 0.9}, file)
    assert str(file) in str(caught.value)


def test_plain_keeps_the_order_and_the_whole_numbers() -> None:
    """Metric lines show values in the order in which the script gave them."""
    assert json.dumps(as_json({"b": 2, "a": 1.0, "c": {"d": math.nan}})) == (
        '{"b": 2, "a": 1.0, "c": {"d": "nan"}}'
    )


# -- The files' names ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "which"),
    [
        ("metrics_eval_best_weights.json", "eval", "best"),
        ("metrics_val_best_weights.json", "eval", "best"),
        ("metrics_dev_last_weights.json", "eval", "last"),
        ("metrics_test_best.json", "test", "best"),
        ("metrics_test_best_weights.json", "test", "best"),
        ("metrics_test.json", "test", None),
        ("metrics_train_last_weights.json", "train", "last"),
        ("metrics_eval.json", "eval", None),
        ("metrics_best_weights.json", "eval", "best"),
        ("metrics.json", "eval", None),
        ("results.json", "eval", None),
    ],
)
def test_a_file_name_says_split_and_weights(name: str, split: str, which: str | None) -> None:
    """The names of CS230's projects, with any of the development set's three names."""
    found = classify(name)
    assert isinstance(found, MetricsFile)
    assert (found.split, found.which, found.name) == (split, which, name)


@pytest.mark.parametrize(
    "name",
    ["params.json", "metrics.jsonl", "run.json", "metrics_eval_best_weights.json.tmp",
     "old_metrics.json", "metricsX.json", "metrics_.json", "metrics_confusion.json",
     "metrics.json\n"],
)  # fmt: skip
def test_other_files_are_no_metric_files(name: str) -> None:
    """A name that is only like one is not read as metrics."""
    assert classify(name) is None


def test_our_own_names_are_read_as_what_they_are() -> None:
    """What Run writes is what the table ranks by."""
    assert classify(EVAL_BEST) == MetricsFile("eval", "best", EVAL_BEST)
    assert classify(EVAL_LAST) == MetricsFile("eval", "last", EVAL_LAST)


# -- Directions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["accuracy", "val_acc", "eval/accuracy", "F1", "roc-auc", "val.mAP", "bleu-4", "map50", "R2",
     "recall@10", "mean_reward", "f1-score", "top1", "top5", "val/top1_acc", "ndcg@10", "ndcg@k",
     "mcc", "rouge1", "eval_rougeLsum", "rouge_l", "dice", "mIoU", "psnr", "ssim", "elbo",
     "f1_macro", "MulticlassAccuracy", "BinaryF1Score", "valid_0-auc", "rollout/ep_rew_mean",
     "neg_mean_squared_error", "success_rate", "acc_best", "prec@1", "recall_at_5",
     "metrics/mAP50-95(B)", "roc_auc_ovr", "Accuracy/val", "c_index", "silhouette_score"],
)  # fmt: skip
def test_larger_is_better_for(name: str) -> None:
    """The last word that says what is measured decides, whatever stands around it."""
    assert direction(name) == "maximize"


@pytest.mark.parametrize(
    "name",
    ["loss", "val_loss", "train/loss", "error", "top1_err", "err_top5", "ppl", "RMSE", "wer", "cer",
     "nll", "fid", "mlogloss", "merror", "logloss", "mae", "mape", "bpb", "val_bits_per_byte", "kl",
     "brier_score", "cross_entropy", "binary_crossentropy", "CrossEntropy", "neg_elbo",
     "neg_log_likelihood", "word_error_rate", "test-mlogloss", "valid_0's l2", "Loss/val",
     "valLoss", "val/loss_epoch", "train_loss_step", "hd95"],
)  # fmt: skip
def test_smaller_is_better_for(name: str) -> None:
    """Errors and losses, by the last word that says what is measured."""
    assert direction(name) == "minimize"


@pytest.mark.parametrize("name", ["mlogloss", "auc", "ndcg@10", "bits_per_byte", "rougeL", "r2"])
@pytest.mark.parametrize("before", ["val_", "eval_", "val/", "valid_", "test/"])
@pytest.mark.parametrize("after", ["", "_mean", "_epoch", "_step"])
def test_what_a_framework_adds_to_a_name_does_not_matter(
    name: str, before: str, after: str
) -> None:
    """Lightning adds `_epoch`, Hugging Face `eval_`, and others the split."""
    assert direction(before + name + after) == direction(name) is not None


@pytest.mark.parametrize(
    "name",
    ["epoch", "lr", "accuracy_time", "lossy", "lossscale", "", "_", "50", "grad_norm", "loss_std",
     "loss_scale", "kl_coef", "learning_rate", "acc_gap", "weights_l2", "val", "step", "mean",
     "entropy", "samples_per_second", "false_negative_rate"],
)  # fmt: skip
def test_some_names_do_not_say(name: str) -> None:
    """A guess would rank wrongly in silence, so there is none."""
    assert direction(name) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loss", "f1", "accuracy"], ("accuracy", "maximize")),
        (["loss", "f1"], ("f1", "maximize")),
        (["epoch", "loss"], ("loss", "minimize")),
        (["loss", "val_acc"], ("val_acc", "maximize")),
        (["top5_accuracy", "accuracy"], ("accuracy", "maximize")),
        (["rmse", "r2"], ("rmse", "minimize")),
        (["precision", "recall", "map50"], ("map50", "maximize")),
        (["kl", "elbo"], ("elbo", "maximize")),
        (["recall"], ("recall", "maximize")),
        (["epoch", "time"], None),
        ([], None),
    ],
)
def test_the_metric_to_rank_by(names: list[str], expected: tuple[str, str] | None) -> None:
    """Accuracy, then f1, then loss, then the first name that has a direction."""
    assert choose(names) == expected


def test_the_test_split_is_never_ranked_by() -> None:
    """Looking at test metrics while choosing is how they stop being test metrics."""
    assert choose(["test_accuracy", "loss"]) == ("loss", "minimize")
    assert choose(["test/accuracy"]) is None


def test_development_goes_before_training() -> None:
    """Ranking by training's numbers would choose the model that overfits most."""
    assert choose(["train_accuracy", "val_loss"]) == ("val_loss", "minimize")
    assert choose(["accuracy", "loss", "val_accuracy"]) == ("val_accuracy", "maximize")
    assert choose(["train_loss"]) == ("train_loss", "minimize")


def test_better_is_strict_and_knows_nan() -> None:
    """NaN never wins and is beaten by every number, so the best can always be found."""
    assert better(0.9, 0.8, "maximize")
    assert not better(0.8, 0.8, "maximize")
    assert better(0.1, 0.2, "minimize")
    assert not better(math.nan, 0.2, "minimize")
    assert not better(math.nan, None, "maximize")
    assert better(0.2, math.nan, "maximize")
    assert better(-math.inf, None, "maximize")


# -- Averages --------------------------------------------------------------------------------------


def test_a_running_average_is_the_mean_of_its_updates() -> None:
    """As CS230's class of that name, with batches of different sizes weighted."""
    average = RunningAverage()
    average.update(np.float32(2.0))
    average.update(4.0)
    assert average() == 3.0
    average.update(6.0, n=2)
    assert average() == 4.5


def test_an_average_of_nothing_is_nan() -> None:
    """An empty loader is no reason to fail with a division by zero."""
    assert math.isnan(RunningAverage()())
