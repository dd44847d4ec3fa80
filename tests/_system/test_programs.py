"""Programs: found as a shell finds them, in a group of their own, with nothing of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """\
import os, sys
from modeldir._system.programs import start_program
cwd, path, *words = sys.argv[1:]
try:
    pid = start_program(tuple(words), cwd, {"PATH": path, "NAME": "told"}, 1)
except OSError as error:
    print(type(error).__name__, error.filename)
else:
    os.waitpid(pid, 0)
    print(os.getcwd(), flush=True)
"""


def begun(cwd: Path, path: str, *words: str) -> list[str]:
    """What a program prints, then where the process is that began it; or how it could not."""
    line = [sys.executable, "-c", BEGIN, str(cwd), path, *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def test_it_leads_a_group_where_it_was_told_to_run(tmp_path: Path) -> None:
    """Its variables are those that were given, and nothing else; who began it is out of the way."""
    text = (
        "echo $NAME $HOME; pwd; test $(ps -o pgid= -p $$ 2>/dev/null || echo $$) -eq $$ && echo led"
    )
    script(tmp_path / "train.sh", text)
    assert begun(tmp_path, os.defpath, "./train.sh") == ["told", str(tmp_path), "led", "/"]


def test_what_an_interpreter_ignores_is_not_ignored(tmp_path: Path) -> None:
    """Python ignores SIGPIPE: `yes | head` would end with a complaint, or never."""
    script(tmp_path / "train.sh", "grep SigIgn /proc/self/status || echo SigIgn: 0")
    ignored = begun(tmp_path, os.defpath, "./train.sh")[0]
    assert int(ignored.split()[1], 16) & 1 << 12 == 0


def test_it_is_looked_for_on_its_own_path(tmp_path: Path) -> None:
    """The first that can be executed; folders that are not there are passed over."""
    script(tmp_path / "first" / "train", "echo first", mode=0o644)
    script(tmp_path / "second" / "train", "echo second")
    path = os.pathsep.join(str(tmp_path / name) for name in ("none", "first", "second"))
    assert begun(tmp_path, path, "train") == ["second", "/"]


@pytest.mark.parametrize("word", ["train", "./train", "/no/such/file"])
def test_one_that_is_nowhere(tmp_path: Path, word: str) -> None:
    """The error names what was asked for, not where it was looked for."""
    assert begun(tmp_path, str(tmp_path / "none"), word) == [f"FileNotFoundError {word}"]


def test_one_that_cannot_be_executed(tmp_path: Path) -> None:
    """That it lies there, and why it is not run, says more than that it was not found."""
    script(tmp_path / "bin" / "train", "echo", mode=0o644)
    path = f"{tmp_path / 'bin'}{os.pathsep}{tmp_path / 'none'}"
    assert begun(tmp_path, path, "train") == ["PermissionError train"]


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    """Then that is what is told."""
    gone = tmp_path / "gone"
    assert begun(gone, os.defpath, "true") == [f"FileNotFoundError {gone}"]
