"""How often test metrics were looked at: counted from what evaluations leave in a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from laboratory import Project
from modeldir.commands.synthesize import after
from modeldir.experiment import test_evaluations
from modeldir.results.experiment_tree import read_tree
from modeldir.results.report import provenance
from modeldir.results.synthesize import synthesize

EVALUATE = """\
import json, os, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
if os.path.exists("break"):
    raise SystemExit(1)
with open(os.path.join(folder, "metrics_test_best.json"), "w") as file:
    json.dump({"accuracy": 0.9}, file)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.write("evaluate.py", EVALUATE)
    project.write("plot.py", "")
    project.searches("learning_rate=0.1,0.01")
    return project


def looked(project: Project) -> str | None:
    return test_evaluations.describe(each.looks for each in read_tree(project.search).experiments)


def evaluate(project: Project, trial: str, script: str = "evaluate.py") -> int:
    folder = f"experiments/search/{trial}"
    words = ["python", script, "--model_dir", folder]
    return project.modeldir("run", folder, "--", *words).code


def test_each_recorded_evaluation_is_a_look(project: Project) -> None:
    """Two of one trial, one of another; one that failed, and another script, are none."""
    assert looked(project) is None
    evaluate(project, "learning_rate_0.1")
    assert looked(project) == "evaluated once"
    evaluate(project, "learning_rate_0.1")
    evaluate(project, "learning_rate_0.01")
    assert looked(project) == "evaluated 3 times, in 2 experiments"
    evaluate(project, "learning_rate_0.1", "plot.py")
    project.write("break", "")
    evaluate(project, "learning_rate_0.1")
    assert looked(project) == "evaluated 3 times, in 2 experiments"


def test_test_metrics_of_an_untracked_script_are_one_look(project: Project) -> None:
    """At least one is certain; a broken run file beside them changes nothing."""
    folder = project.search / "learning_rate_0.1"
    (folder / "metrics_test_best.json").write_text(json.dumps({"accuracy": 0.5}))
    assert looked(project) == "evaluated once"
    (folder / "evaluate.run.json").write_text("{")
    assert test_evaluations.count(folder, os.listdir(folder)) == 1


def test_an_evaluation_without_test_metrics_is_no_look(project: Project) -> None:
    """An evaluation on the validation set has not used the test set."""
    project.write("evaluate.py", "")
    evaluate(project, "learning_rate_0.1")
    assert looked(project) is None


def test_it_is_told_where_results_are_shown(project: Project) -> None:
    """Below the table, and where the report says where results come from."""
    assert "test: " not in after(synthesize("experiments/search"))
    evaluate(project, "learning_rate_0.1")
    evaluate(project, "learning_rate_0.1")
    told = after(synthesize("experiments/search"))
    assert "test:    evaluated 2 times; do not choose a model by these numbers" in told
    tree = read_tree("experiments/search")
    lines = provenance.provenance(tree.experiments, [], [], [])
    assert ["test metrics", ["evaluated 2 times"]] in lines
