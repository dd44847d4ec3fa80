"""Where standard output goes."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from modeldir._system.terminal import width_here, width_of_messages
from terminals import Terminal


@pytest.mark.parametrize("said", [None, "", "0", "-3", "wide", "132"])
def test_the_width_is_what_the_standard_library_says(
    said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `COLUMNS`, else by the terminal, of which there is none here."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if said is not None:
        monkeypatch.setenv("COLUMNS", said)
    assert width_here() == shutil.get_terminal_size().columns


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    """Where the environment says nothing."""
    code = (
        "import os; os.environ.pop('COLUMNS', None); "
        "from modeldir._system.terminal import width_here; "
        "print('columns:', width_here())"
    )
    terminal = Terminal(tmp_path, "", command=[sys.executable, "-c", code])
    terminal.end()
    assert b"columns: 90" in terminal.shown


def test_messages_have_a_width_where_somebody_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal; a pipe, a file, or nothing at all has none, whatever `COLUMNS` says."""
    monkeypatch.setenv("COLUMNS", "60")
    with open(tmp_path / "said", "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        assert width_of_messages() is None
    monkeypatch.setattr(sys, "stderr", None)
    assert width_of_messages() is None
    code = (
        "from modeldir._system.terminal import width_of_messages as asked; "
        "print('columns:', asked())"
    )
    terminal = Terminal(tmp_path, "", command=[sys.executable, "-c", code])
    terminal.end()
    assert b"columns: 60" in terminal.shown
