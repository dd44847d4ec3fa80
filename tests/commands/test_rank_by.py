"""`--rank-by last`: the last value of a metric ranks trials, everywhere by the same rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from laboratory import Project, read
from modeldir import Search

STEPS = """\
import sys
import modeldir

params = modeldir.Params(sys.argv[2] + "/params.json")
getattr(params, "seed", 0)
with modeldir.start(sys.argv[2]) as run:
    for step in range(1, 5):
        peak = params.learning_rate == 0.2 and step == 2
        run.log(step, accuracy=0.9 if peak else 0.1 * step + params.learning_rate)
"""
"""Trial 0.2 has the best value, at step 2; trial 0.4 has the best last one, at step 4."""

HERE = "experiments/search"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, STEPS)


def test_the_best_value_over_the_steps_ranks_by_default(project: Project) -> None:
    """Trial 0.2 was best for one step, and the table says that it ranks by the best epoch."""
    done = project.searches("learning_rate=0.2,0.4", "--maximize", "accuracy", "--no-check")
    assert "learning_rate_0.2 (highest accuracy 0.9)" in done.out
    assert "by validation accuracy (best epoch)" in project.modeldir("results", HERE).out


def test_the_last_value_ranks_if_the_search_says_so(project: Project) -> None:
    """The search's lines, its plan, the table, `best`, `show` and the Python API agree."""
    done = project.searches(
        "learning_rate=0.2,0.4", "--maximize", "accuracy", "--rank-by", "last", "--no-check"
    )
    assert "Best = highest last accuracy." in done.out
    assert "learning_rate_0.4 (highest last accuracy 0.8)" in done.out
    assert project.plan()["rank_by"] == "last"
    assert (
        "by validation accuracy (last epoch), highest first"
        in project.modeldir("results", HERE).out
    )
    assert project.modeldir("best", HERE).lines == [f"{HERE}/learning_rate_0.4"]
    assert "last accuracy, highest first" in project.modeldir("show", HERE).out
    best = Search(project.path / HERE).best()
    assert best is not None
    assert best.path.name == "learning_rate_0.4"
    assert best.value == pytest.approx(0.8)


def test_a_search_can_change_its_rule_without_training_again(project: Project) -> None:
    """Both values are there: given later, `--rank-by` only ranks again."""
    project.searches("learning_rate=0.2,0.4", "--maximize", "accuracy", "--no-check")
    done = project.modeldir("search", HERE, "--rank-by", "last")
    assert "learning_rate_0.4 (highest last accuracy 0.8)" in done.out
    done = project.modeldir("search", HERE, "--rank-by", "best")
    assert "learning_rate_0.2 (highest accuracy 0.9)" in done.out
    assert len(list((project.path / HERE).glob("*/run*.json"))) == 2


def test_trials_with_one_metrics_file_rank_by_that(project: Project) -> None:
    """A script that writes only its best metrics has no last ones."""
    project.write(
        "train.py",
        "import json, sys\nrate = json.load(open(sys.argv[2] + '/params.json'))['learning_rate']\n"
        "json.dump({'accuracy': rate}, open(sys.argv[2] + '/metrics.json', 'w'))\n",
    )
    project.searches("learning_rate=0.2,0.4", "--rank-by", "last", "--no-check")
    assert project.modeldir("best", HERE).lines == [f"{HERE}/learning_rate_0.4"]


def test_show_says_at_which_step_the_values_were(project: Project) -> None:
    """The best at its first step, the last at its last one."""
    project.searches("learning_rate=0.2", "--maximize", "accuracy", "--no-check")
    assert "metric    best (step 2)  last (step 4)" in project.modeldir("show", HERE, "1").lines


def test_a_confirmation_ranks_as_its_search(project: Project) -> None:
    """Its runs are compared by the last values too."""
    project.params(HERE, learning_rate=0.1, seed=1)
    project.searches(
        "learning_rate=0.2,0.4", "--maximize", "accuracy", "--rank-by", "last", "--no-check"
    )
    done = project.modeldir("confirm", HERE, "--repeats", "2")
    assert done.code in {0, 1}, done.err
    assert read(project.path / HERE / "confirm" / "search.json")["rank_by"] == "last"


def test_another_word_is_an_error(project: Project) -> None:
    """In a file, too; the error names both words."""
    project.searches("learning_rate=0.2", "--no-check")
    file = project.path / HERE / "search.json"
    file.write_text(file.read_text().replace("{", '{"rank_by": "first",', 1))
    done = project.modeldir("search", HERE)
    assert done.code == 2
    assert "rank_by: got 'first'" in done.err
    assert "expected best or last" in done.err
