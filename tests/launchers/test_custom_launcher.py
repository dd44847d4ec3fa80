"""The page on other job managers: the custom launcher runs, recipes are well formed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from laboratory import LIMIT, Project, wait_until
from modeldir.launchers import new_tokens
from modeldir.launchers.command import CommandLauncher
from test_docs import ROOT, blocks, recipe

PAGE = (ROOT / "docs/how-to/custom-launcher.md").read_text()
EXAMPLES = ROOT / "docs_src/how_to"
LAUNCHER = (EXAMPLES / "lab_launcher.py").read_text()

# What the laboratory of the page has, on one machine.
LABORATORY = {
    "rexec": '#!/bin/sh\nnohup sh "$2" >/dev/null 2>&1 </dev/null &\necho $!\n',
    "rps": "#!/bin/sh\nps -eo pid=\n",
    "rkill": '#!/bin/sh\nkill "$1"\n',
}

# Job managers that are not to be had: each runs at once what it would have queued.
MANAGERS = {
    "PBS": ("qsub", "cat >job.sh; sh job.sh >job.out 2>&1 &\necho 1234.head"),
    "LSF": (
        "bsub",
        'for last; do :; done\nsh -c "$last" &\necho "Job <77> is submitted to queue <gpu>."',
    ),
    "HTCondor": (
        "condor_submit",
        'for word; do case $word in executable=*) "${word#*=}" & ;; esac; done; echo 12.0 - 12.0',
    ),
    "SkyPilot": ("sky", 'for last; do :; done\nsh -c "$last" &\necho "Job submitted, ID: 5"'),
}
IDS = {"PBS": "1234", "LSF": "77", "HTCondor": "12", "SkyPilot": "5"}

SAYS = """\
import json, os, sys
with open(sys.argv[1] + ".part", "w") as file:
    json.dump(sys.argv[2:], file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
"""


def programs(folder: Path, **scripts: str) -> str:
    """Small programs in a folder; returns the PATH with which they are found first."""
    folder.mkdir()
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in whose environment the page's package is installed, and its laboratory."""
    folder = tmp_path / "project"
    folder.mkdir()
    found = Project(folder)
    found.write("installed/lab/__init__.py", "")
    found.write("installed/lab/launcher.py", LAUNCHER)
    found.write("installed/lab-1.0.dist-info/METADATA", "Name: lab\nVersion: 1.0\n")
    found.write(
        "installed/lab-1.0.dist-info/entry_points.txt",
        "[modeldir.launchers]\nlab = lab.launcher:LabLauncher\n",
    )
    found.write("test_launcher.py", (EXAMPLES / "lab_launcher_test.py").read_text())
    path = programs(tmp_path / "bin", **LABORATORY)
    found.environment["PATH"] = path.replace(os.environ["PATH"], found.environment["PATH"])
    found.environment["PYTHONPATH"] = str(folder / "installed")
    return found


def test_a_launcher_of_one_s_own_keeps_the_contract(project: Project) -> None:
    """The page's 40 lines pass the tests that the page inherits."""
    assert 30 <= len(LAUNCHER.splitlines()) <= 48
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_launcher.py"],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


def test_a_launcher_of_one_s_own_runs_a_search(project: Project) -> None:
    """By its entry point and its table; without the table it says what is missing."""
    words = ("learning_rate=0.1,0.2,0.3", "--on", "lab", "--workers", "2", "--wait")
    refused = project.searches(*words)
    assert refused.code == 2
    assert "hosts: which machines?" in refused.err
    settings = next(text for text in blocks(PAGE, "toml") if text.startswith("# modeldir.toml"))
    project.write("modeldir.toml", settings)
    said = project.searches(*words, limit=110)
    assert said.code == 0, said.err
    assert set(project.trials().values()) == {"completed"}


@pytest.mark.parametrize("name", MANAGERS)
def test_a_recipe_brings_the_words_through(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not run for real is at least well formed: a stand-in that does what the manual says
    gets the worker's words as they are, and the id is found.
    """
    program, script = MANAGERS[name]
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", **{program: f"#!/bin/sh\n{script}\n"}))
    search = tmp_path / 'it\'s "mine" 100% $HOME'
    search.mkdir()
    monkeypatch.chdir(search)
    told = search / "told"
    (search / "says.py").write_text(SAYS)
    words = [sys.executable, str(search / "says.py"), str(told), "a 'b\" $HOME *", ""]
    [job] = CommandLauncher(search, recipe(name)).start(words, new_tokens(1))
    assert job.job == IDS[name]
    wait_until(told.exists, "the worker", LIMIT)
    assert json.loads(told.read_text()) == ["a 'b\" $HOME *", "", "--job", job.token]
