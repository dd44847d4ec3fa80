"""Odd files: whatever lies in a folder, each command goes on and says what it could not read."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modeldir import commands

EVAL = "metrics_eval_best_weights.json"
LOOKING = (
    ["synthesize", "."], ["best", "."], ["show", "good"], ["show", "odd"], ["diff", "good", "odd"],
    ["export", ".", "--to", "csv", "-o", "out/table.csv"],
)  # fmt: skip


@pytest.fixture(autouse=True)
def _two_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("good", "odd"):
        Path(name).mkdir()
        Path(name, "params.json").write_text('{"learning_rate": 0.1}')
        Path(name, EVAL).write_text('{"accuracy": 0.5}')


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _deep(path: Path) -> None:
    path.write_text('{"a":' * 5000)


@pytest.mark.parametrize("name", ["params.json", EVAL, "run.json", "trial.json", "metrics.jsonl"])
@pytest.mark.parametrize("put", [_pipe, _device, _sparse, _deep])
def test_an_odd_file_ends_no_command(
    name: str, put: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe, a device, a terabyte, deep nesting: the other experiment is shown all the same."""
    Path("odd", name).unlink(missing_ok=True)
    put(Path("odd", name))
    for words in LOOKING:
        assert commands.main(words) in {0, 1, 2}
    capsys.readouterr()
    assert commands.main(["best", "."]) == 0
    assert capsys.readouterr().out in {"good\n", "odd\n"}


@pytest.mark.parametrize("name", ["run.json", "run.2.json", "trial.json"])
def test_a_record_that_cannot_be_read_is_told(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken run file is one line too; its experiment stays in the table."""
    Path("odd", name).write_text('{"status": "comp')
    assert commands.main(["synthesize", "."]) == 0
    said = capsys.readouterr()
    assert "odd " in said.out
    told = [line for line in said.err.splitlines() if name in line]
    why = "Unterminated string starting at: line 1 column 12 (char 11)"
    assert told == [f"warning: ./odd/{name}: is not JSON: {why}"]


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (_pipe, "it is a pipe, not a regular file"),
        (_device, "it is a device, not a regular file"),
        (_sparse, "it has 1,048,576.0 MB, but a params file may have at most 16 MB"),
    ],
)
def test_an_odd_file_is_one_line_with_its_path(
    put: Callable[[Path], None], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table warns about the file and shows the rest."""
    Path("odd/params.json").unlink()
    put(Path("odd/params.json"))
    assert commands.main(["synthesize", "."]) == 0
    said = capsys.readouterr()
    assert "good" in said.out
    assert [line for line in said.err.splitlines() if "odd/params.json" in line] == [
        f"warning: ./odd/params.json: cannot be read: {why}"
    ]


def test_aliases_of_yaml_are_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """Four hundred bytes can stand for more values than there is memory."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    Path("odd/params.json").unlink()
    Path("odd/params.yaml").write_text("\n".join(lines))
    assert commands.main(["synthesize", "."]) == 0
    assert (
        "odd/params.yaml: its aliases expand to more than 200,000 values" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"duration": 10**400}, {"duration": 1e300}, {"duration": -5}, {"duration": True},
        {"started": 10**400}, {"reason": {"a": 1}}, {"failure": ["error"]}, {"last_line": 3},
        {"status": None, "supervisor": {"pid": 10**400, "started": 1e999}, "heartbeat": 10**400},
        {"command": ["\ud800"], "cwd": "\ud800"},
    ],
    ids=str,
)  # fmt: skip
def test_a_number_that_can_be_none_is_no_value(facts: dict[str, object]) -> None:
    """A run file with impossible times, processes and texts is shown without them."""
    run = {"attempt": 1, "status": "failed", "folder": {"inode": Path("odd").stat().st_ino}}
    Path("odd/run.json").write_text(json.dumps({**run, **facts}))
    for words in LOOKING:
        assert commands.main(words) in {0, 1}


@pytest.mark.parametrize("where", ["accuracy > 1e400", "accuracy > -1" + "0" * 400])
def test_a_condition_with_a_number_that_is_too_large(
    where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused in words."""
    assert commands.main(["synthesize", ".", "--where", where]) == 2
    assert "has a number of more than 300 digits" in capsys.readouterr().err


def test_a_link_upwards_does_not_lead_through_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    """Links to folders above the tree, and to those of the kernel, are not followed."""
    for number, target in enumerate(("/", "..", "/proc", "/dev")):
        Path(f"odd/link{number}").symlink_to(target)
    assert commands.main(["synthesize", "odd", "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_folders_that_nest_too_deep_are_not_entered(capsys: pytest.CaptureFixture[str]) -> None:
    """A walk ends there with a warning, not with the interpreter's stack."""
    Path("/".join("d" * 150)).mkdir(parents=True)
    assert commands.main(["synthesize", "."]) == 0
    assert "more than 100 folders inside each other" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--tail", "3"], ["--raw", "--tail", "3"]])
def test_the_end_of_a_log_of_zeros(
    words: list[str], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """A terabyte without a line break, as a crash may leave it, is not read whole."""
    _sparse(Path("odd/console.log"))
    with Path("odd/console.log").open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe\nlast\nlines\n")
    assert commands.main(["log", "odd", *words]) == 0
    assert capfdbinary.readouterr().out.endswith(b"the\nlast\nlines\n")
    _sparse(Path("good/console.log"))
    assert commands.main(["log", "good", *words]) == 0


def test_too_little_memory_is_one_line() -> None:
    """With `ulimit -v` a large file ends in a sentence, not in a traceback."""
    text = ", ".join(f'"name_{number}": [1.5, "{number}"]' for number in range(300_000))
    Path("odd/params.json").write_text(f"{{{text}}}")
    done = subprocess.run(
        [sys.executable, "-m", "modeldir", "synthesize", "."],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (90 << 20, 90 << 20)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr == ("error: not enough memory; is there a limit? see: ulimit -v\n")
