"""Values that several commands give at the same moment: all of them reach the plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modeldir
from laboratory import Project

MEANWHILE = """\
import modeldir

modeldir.Search("experiments/search", {"learning_rate": [0.1, 0.2]}).prepare("python train.py")
from modeldir.samplers.grid import Grid
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a base config, with its folder as the current one."""
    found = Project(tmp_path)
    found.params("experiments/search", learning_rate=0.5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", found.environment["PATH"])
    return found


def test_a_plan_that_changes_while_it_is_read_loses_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command writes the plan while another one imports its sampler: no value is lost."""
    project.write("together.py", MEANWHILE)
    monkeypatch.syspath_prepend(str(project.path))
    given = {"learning_rate": [0.3]}
    search = modeldir.Search("experiments/search", given, sampler="together:Grid")
    search.prepare("python train.py")
    assert project.plan()["space"] == {"learning_rate": [0.1, 0.2, 0.3]}


def test_four_commands_at_once_all_reach_the_plan(project: Project) -> None:
    """Each value of four searches that start together is trained, once."""
    base = [sys.executable, "-m", "modeldir", "search", "experiments/search", "--no-check"]
    values = ["0.1,0.2", "0.3,0.4", "0.5,0.6", "0.7,0.8"]
    running = [
        subprocess.Popen(
            [*base, f"learning_rate={value}", "--", "python", "train.py"],
            cwd=project.path,
            env=project.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for value in values
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    wanted = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    assert sorted(project.plan()["space"]["learning_rate"]) == wanted
    assert sorted(project.ended) == [f"learning_rate_{value}" for value in wanted]
