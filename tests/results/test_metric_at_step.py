"""A metric at the best, at the last, at one epoch or step of its training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from modeldir.errors import ModeldirError
from modeldir.experiment.experiment import Scores
from modeldir.results import metric_at_step

if TYPE_CHECKING:
    from pathlib import Path

    from modeldir.metrics.objective import Direction

STEPS = [
    {"step": 100, "epoch": 1, "val/loss": 0.5, "loss": 9.0, "train/loss": 0.4},
    {"step": 200, "epoch": 2, "val/loss": 0.2, "train/loss": 0.3},
    {"step": 300, "epoch": 3, "val/loss": "nan", "train/loss": 0.2},
    {"step": 300, "epoch": 3, "val/loss": 0.4, "train/loss": 0.1},
    {"step": 350},
]


def value(
    folder: Path, text: str, scores: Scores | None = None, direction: Direction | None = "minimize"
) -> float | None:
    """A column's value, of a training with the steps above."""
    lines = "".join(f"{json.dumps(step)}\n" for step in STEPS)
    (folder / "metrics.jsonl").write_text(lines + '{"step": 400, "val/lo')
    moment = metric_at_step.parse(text)
    assert moment is not None
    assert moment.header == text
    return moment.value(folder, Scores() if scores is None else scores, direction)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss@best", 0.2),
        ("loss@last", 0.4),
        ("loss@epoch=1", 0.5),
        ("loss@step=200", 0.2),
        ("loss@epoch=3", 0.4),
        ("loss@epoch=4", None),
        ("train/loss@last", 0.1),
        ("accuracy@last", None),
        ("accuracy@best", None),
    ],
)
def test_from_the_steps(text: str, expected: float | None, tmp_path: Path) -> None:
    """The development metric; of a step that was told twice the second, and never NaN as best."""
    assert value(tmp_path, text) == expected


def test_metric_files_go_before_steps(tmp_path: Path) -> None:
    """They hold what the weights that were kept have scored."""
    scores = Scores(best={"loss": 0.1}, last={"loss": 0.9})
    assert value(tmp_path, "loss@best", scores) == 0.1
    assert value(tmp_path, "loss@last", scores) == 0.9
    assert value(tmp_path, "loss@epoch=2", scores) == 0.2


def test_the_best_needs_a_direction(tmp_path: Path) -> None:
    """Each metric has its own; of one whose name says nothing the best is not known."""
    assert value(tmp_path, "loss@best", direction="maximize") == 0.5
    assert value(tmp_path, "loss@best", direction=None) is None


def test_without_steps_there_is_nothing(tmp_path: Path) -> None:
    """A folder of someone else's has no series, which is no error."""
    moment = metric_at_step.parse("loss@epoch=2")
    assert moment is not None
    assert moment.value(tmp_path, Scores(best={"loss": 1.0}), "minimize") is None


@pytest.mark.parametrize("text", ["loss@frist", "loss@epoch", "loss@best=3"])
def test_a_moment_that_there_is_not(text: str) -> None:
    """The error says which there are."""
    with pytest.raises(ModeldirError, match="loss@best, @last, @epoch=10, @step=500"):
        metric_at_step.parse(text)
