"""The end of a search in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import Project
from modeldir import Search, save_metrics
from modeldir.monitor.summary import WorkerOutcome, counted, summary, the_script


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Of three trials the second has failed."""
    Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = Search(
        "experiments/search", {"learning_rate": [0.1, 0.01, 0.001]}, command="python train.py"
    )
    for trial in found:
        with trial:
            if trial.number == 2:
                raise MemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            accuracy = 1 - trial.params.learning_rate
            save_metrics({"accuracy": accuracy}, trial.model_dir / "metrics_eval_best_weights.json")
    return Search("experiments/search")


ENDED = {"completed": 2, "failed": 1}
FAILED = ("learning_rate_0.01",)


@pytest.mark.parametrize(
    "outcome",
    [
        WorkerOutcome(ended=ENDED, failed=FAILED),
        WorkerOutcome(),
        WorkerOutcome(ended={"completed": 1}, stopped=True),
        WorkerOutcome(ended={"completed": 1}, problem="batch_size varies, but nobody read it"),
        WorkerOutcome(ended={"completed": 1}, elsewhere=3),
    ],
    ids=["some failed", "nothing ran", "stopped", "a mistake", "others go on"],
)
def test_the_end_says_what_happened_and_what_is_next(
    search: Search, outcome: WorkerOutcome, snapshot: SnapshotAssertion
) -> None:
    """Counts, each failure with its last words and its log, the best, and what to type."""
    search.prepare()
    assert summary(search, outcome) == snapshot


def test_a_search_without_trials_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is there, nothing is best."""
    Project(tmp_path)
    monkeypatch.chdir(tmp_path)
    search = Search("experiments/search", {"learning_rate": [0.1]})
    assert summary(search, WorkerOutcome()) == [
        "No trials",
    ]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, 0),
        ({"ended": {"completed": 3, "pruned": 2}}, 0),
        ({"ended": {"completed": 3, "failed": 1}}, 1),
        ({"ended": {"interrupted": 1}}, 1),
        ({"ended": {"failed": 1}, "stopped": True}, 130),
        ({"ended": {"interrupted": 1}, "stopped": True, "as_asked": True}, 0),
        ({"failed_in_all": 1, "stopped": True, "as_asked": True}, 1),
        ({"stopped": True, "problem": "x"}, 2),
    ],
)
def test_the_exit_code_says_how_it_went(settings: dict[str, Any], code: int) -> None:
    """0 all well, 1 some trial failed or was left behind, 2 wrong use, 130 interrupted."""
    assert WorkerOutcome(**settings).exit_code == code


def test_counts_in_words() -> None:
    """In the order of the alphabet, so that it never jumps."""
    assert counted({"failed": 1, "completed": 2}) == "2 completed, 1 failed"
    assert counted({}) == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [("python train.py --lr 3", "train.py"), ("python a/b.py", "a/b.py"), ("./go", "the script"),
     (None, "the script")],
)  # fmt: skip
def test_how_a_script_is_called(command: str | None, words: str) -> None:
    """By its file, where it has one."""
    assert the_script(command) == words
