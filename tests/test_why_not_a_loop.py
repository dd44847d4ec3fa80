"""The measurement behind docs/concepts/why-not-a-loop.md still runs, and modeldir loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "benchmarks/why_not_a_loop/bench.py"


@pytest.mark.slow
def test_the_same_command_twice_loses_nothing() -> None:
    """Two terminals at once: the loops train every epoch twice, modeldir none."""
    done = subprocess.run(
        [sys.executable, BENCH, "--only", "two"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cells = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()]
    rows = {row[1]: row[2:5] for row in cells if len(row) > 1}
    assert rows["trials with a result"] == ["8 of 8"] * 3
    assert rows["epochs trained again"] == ["40", "40", "0"]
    assert rows["trials with two processes at once in one folder"] == ["8", "8", "0"]
