"""Fuzzing, short: what `make fuzz` does for minutes, for a few hundred inputs of each kind.

And the fuzzer itself, asked whether it finds what is wrong and says it in few words.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import fuzz
import fuzz_folders
import fuzz_params
from modeldir.params import strict_json


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_a_short_run_finds_nothing(name: str) -> None:
    """Inputs of each kind, always the same: no crash, no wrong value; good and bad ones."""
    turns = iter([True, True, False])
    found = fuzz.fuzz(230, [name], lambda _: next(turns))
    assert found.wrong == []
    assert found.tried.total() >= 40
    kinds = {kind for _, kind in found.tried}
    assert "read" in kinds or "refused" not in kinds


def test_a_seed_makes_the_same_inputs() -> None:
    """What was found can be looked at again."""
    for make, _ in fuzz.TARGETS.values():
        assert make(random.Random("7")) == make(random.Random("7"))


def test_the_second_parser_is_one() -> None:
    """It takes what the standard library takes, but for what we refuse, and knows what it says."""
    text = ' {"a": [1, -0.5e-3, "\\\\u00e4\\\\ud83d\\\\ude00"], "b": {"c": null, "d": [true, {}]}} '
    text = text.replace("\\\\", "\\")
    assert fuzz_params.slowly(text, comments=False) == strict_json.loads(text, "p")[0]
    for bad in ('{"a": 1, "a": 1}', '{"a": NaN}', '{"a": 1,}', '{"a": 01}', '{"a": "\t"}', "{} {}"):
        with pytest.raises(fuzz_params.RefusedError):
            fuzz_params.slowly(bad, comments=False)


def test_a_mistake_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes 1.0 for 1 would be noticed, by an input of a few characters."""

    def careless(text: str) -> str:
        assert "lr" not in text, "lost a learning rate"
        return "read"

    monkeypatch.setitem(fuzz.TARGETS, "json", (fuzz.TARGETS["json"][0], careless))
    found = fuzz.fuzz(1, ["json"], lambda found: not found.leave_alone("json"))
    assert len(found.wrong) > 1
    assert {text for _, text, _ in found.wrong} == {"lr"}
    assert "json" in fuzz.table(found)


def test_the_program_says_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each kind of input; exit code 0."""
    assert (
        fuzz.main(["--minutes", "0.001", "--commands", "0", "--seed", "7", "--only", "session"])
        == 0
    )
    assert capsys.readouterr().out.startswith("seed 7, 0.001 minutes\nsession ")


def test_commands_on_damaged_folders_find_nothing() -> None:
    """No traceback of ours, no hang and no flood of memory, whatever lies in a folder."""
    done = subprocess.run(
        [sys.executable, fuzz_folders.__file__, "--commands", "96", "--seed", "7"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n96 commands: " in done.stdout


def _raises(_: list[str]) -> int:
    raise KeyError("point")


def _hangs(_: list[str]) -> int:
    time.sleep(20)
    return 0


def _computes(_: list[str]) -> int:
    while True:
        pass


def _floods(_: list[str]) -> int:
    return len(bytearray(b"x" * (700 << 20))) * 0


@pytest.mark.parametrize(
    ("command", "fault"),
    [(_raises, "traceback"), (_hangs, "took"), (_computes, "took"), (_floods, " MB")],
)
def test_a_fault_of_a_command_is_found(
    command: Callable[[list[str]], int],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fuzzer would notice an exception, a hang and too much memory."""
    monkeypatch.setattr(fuzz_folders, "PATIENCE", 0.5 if command is _hangs else 60.0)
    monkeypatch.setattr(fuzz_folders, "SECONDS", 1 if command is _computes else 10)
    runner = fuzz_folders.Runner()
    monkeypatch.setattr(runner, "_main", command)
    ended = runner.run(["show"], tmp_path, forked=True, obeys_modes=False)
    assert fault in (ended.fault or "")


def test_make_fuzz_runs_it() -> None:
    """As the page on testing says."""
    root = Path(__file__).parents[1]
    assert "tests/fuzz.py $(ARGS)" in (root / "Makefile").read_text()
    assert "make fuzz" in (root / "docs/contributing/testing.md").read_text()
