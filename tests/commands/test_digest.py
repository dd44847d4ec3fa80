"""`modeldir digest`: short, whatever the size of the search, and nothing important is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from laboratory import Project

SEARCH = "experiments/search"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_it_says_what_was_tried_what_held_and_what_failed(project: Project) -> None:
    """The values, the best first with the note, and the error with its trial."""
    project.write("fail.learning_rate_0.3", "")
    assert project.searches("learning_rate=0.3,0.1,0.2", "--no-check", "-m", "an idea").code == 1
    assert project.modeldir("digest", SEARCH).lines == [
        f"{SEARCH}: 2 completed, 1 failed, ranked by accuracy",
        "tried:",
        "  learning_rate: 0.1, 0.2, 0.3",
        "best first:",
        "  trial 2 (learning_rate_0.1): accuracy 0.9; learning_rate 0.1; an idea",
        "  trial 3 (learning_rate_0.2): accuracy 0.8; learning_rate 0.2; an idea",
        "failed:",
        "  1 x error: ValueError: it diverged: learning_rate_0.3 (trial 1 (learning_rate_0.3))",
        f"all of it: modeldir results {SEARCH}",
    ]


def test_repeats_are_one_line(project: Project) -> None:
    """Their mean, how many they are and how much they differ; the seed is no idea."""
    project.params(SEARCH, learning_rate=0.1, seed=1)
    assert project.searches("learning_rate=0.1,0.2", "--repeats", "2").code == 0
    said = project.modeldir("digest", SEARCH)
    assert "  learning_rate: 0.1, 0.2" in said.lines
    assert "seed:" not in said.out
    first = "  trial 1 (learning_rate_0.1): accuracy 0.9 (mean of 2, std 0); learning_rate 0.1"
    assert first in said.lines


def test_several_metrics_have_their_front(project: Project) -> None:
    """No experiment is best by all of them."""
    options = ("--maximize", "accuracy", "--maximize", "loss")
    assert project.searches("learning_rate=0.1,0.2", *options).code == 0
    lines = project.modeldir("digest", SEARCH).lines
    assert "Pareto front:" in lines
    assert "  trial 1 (learning_rate_0.1): accuracy 0.9, loss 0.1; learning_rate 0.1" in lines


def test_the_answer_of_confirm_is_part_of_it(project: Project) -> None:
    """The best of a search may be luck: its confirmation says so."""
    project.params(SEARCH, learning_rate=0.5, seed=1)
    assert project.searches("learning_rate=0.1,0.2").code == 0
    project.modeldir("confirm", SEARCH, "--repeats", "2")
    lines = project.modeldir("digest", SEARCH).lines
    at = lines.index("confirmed with new seeds:")
    assert "gave the same accuracy" in lines[at + 1]


def test_three_hundred_experiments_are_at_most_40_lines(project: Project) -> None:
    """Many hyperparameters and errors, long and odd lines; each part says how many more it has."""
    for number in range(300):
        folder = f"{SEARCH}/trial_{number:04d}"
        project.params(folder, **{f"parameter_{at}": number * at for at in range(30)})
        path = project.path / folder
        state = "failed" if number % 3 == 0 else "completed" if number % 3 == 1 else "pruned"
        error = f"E{chr(97 + number % 26)}r: \x1b[31m" + chr(97 + number % 26) * 300
        record = {"status": state, "last_line": error, "failure": "error", "format": 1}
        (path / "run.json").write_text(json.dumps(record))
        if state == "completed":
            (path / "metrics_eval_best_weights.json").write_text(f'{{"accuracy": 0.{number}}}')
    project.params(f"{SEARCH}/trial_9999", parameter_1=1)
    said = project.modeldir("digest", SEARCH)
    assert said.code == 0, said.err
    assert len(said.lines) <= 40
    assert max(map(len, said.lines)) <= 150
    assert "\x1b" not in said.out
    for more in ("  and 22 more hyperparameters", "  and 92 more experiments", "more errors"):
        assert more in said.out


def test_a_folder_without_experiments_is_an_error(project: Project) -> None:
    """The exit code is 1, as of `results`; a folder that is not there is wrong use."""
    (project.path / "empty").mkdir()
    said = project.modeldir("digest", "empty")
    assert (said.code, said.out) == (1, "")
    assert project.modeldir("digest", "none").code == 2
