"""`modeldir completion`: what TAB offers, in a real shell where it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from laboratory import Project
from modeldir.commands import completion


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path)
    for name in ("lr_0.1", "lr_0.2", "it's odd *", "two\nlines", ".hidden"):
        project.params(f"experiments/search/{name}", learning_rate=0.1)
    monkeypatch.chdir(tmp_path)
    return project


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["sea"], ["search"]),
        (["best", "--m"], ["--maximize", "--metric", "--minimize"]),
        (["show", "exp"], ["experiments"]),
        (["show", "experiments/search/lr"], [f"experiments/search/lr_0.{i}" for i in (1, 2)]),
        (["run", "experiments/search", "--", "tr"], []),
        (["show", "experiments/search/two"], []),
        (["nothing", "--m"], []),
        (["show", "nowhere/x"], []),
    ],
)
def test_each_word_is_completed(project: Project, typed: list[str], offered: list[str]) -> None:
    """Commands, options and folders; nothing for your own command or an unknown one."""
    said = project.modeldir("completion-words", *typed)
    assert (said.lines, said.err, said.code) == (offered, "", 0)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_a_trial_with_odd_letters_in_its_name(project: Project) -> None:
    """The script is loaded by a real bash, and gives its function the words."""
    bin_ = project.path / "bin"
    project.write("bin/modeldir", f'#!/bin/sh\nexec {sys.executable} -m modeldir "$@"\n').chmod(
        0o755
    )
    lines = (
        'eval "$(modeldir completion bash)"',
        "COMP_WORDS=(modeldir show experiments/search/it) COMP_CWORD=2",
        "_modeldir 2>/dev/null",
        "printf '%s\\n' \"${COMPREPLY[@]}\"",
        "complete -p modeldir",
    )
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        env={**project.environment, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    offered, registered = done.stdout.splitlines()
    assert offered == "experiments/search/it's odd *"
    assert registered == "complete -o default -F _modeldir modeldir"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_are_accepted_by_their_shells(project: Project, shell: str) -> None:
    """The shell reads the script without running it."""
    script = project.modeldir("completion", shell).out
    assert "modeldir completion-words" in script
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    path = project.write("script", script)
    subprocess.run([shell, "-n", str(path)], check=True)


def test_folders_are_completed_without_slow_imports() -> None:
    """TAB is pressed often: only options need argparse and a command's module."""
    code = "import sys; from modeldir.commands import main; main(['completion-words', 'show', ''])"
    code += "; print('json' in sys.modules, 'modeldir.results' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
    assert completion.words(["bes"]) == ["best"]
