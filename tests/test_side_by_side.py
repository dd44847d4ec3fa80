"""The race of the benchmarks: failures are reported, and the CPU of all processes is counted.

Each race runs in a process of its own, because it ends whatever is still running below it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux' own")
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def raced(script: str) -> Any:
    """Return what a script that uses the race prints as JSON."""
    words = "import json, sys\nfrom side_by_side import Contender, DidNotWork, race, report\n"
    done = subprocess.run(
        [sys.executable, "-c", words + textwrap.dedent(script)],
        cwd=BENCHMARKS, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_guest_that_breaks_is_told_and_the_others_go_on() -> None:
    """Its last line is the reason, and it has no more rounds and no row."""
    told = raced("""
        def nothing():
            raise DidNotWork("0 of 3 trials have metrics")
        broken = "import sys; print('first', file=sys.stderr); sys.exit('the reason')"
        rows = [
            Contender("floor", ["true"]),
            Contender("broken", [sys.executable, "-c", broken], guest=True),
            Contender("slow", ["sleep", "60"], guest=True, limit=0.1),
            Contender("idle", ["true"], guest=True, check=nothing),
            Contender("seldom", ["true"], most=1, units=4),
        ]
        race(rows, 3)
        print(json.dumps([report(rows, "trial"), {row.name: len(row.wall) for row in rows}]))
    """)
    table, rounds = told
    assert rounds == {"floor": 3, "broken": 0, "slow": 0, "idle": 0, "seldom": 1}
    assert table.split("\n\n")[1].splitlines() == [
        "Left out: broken (exit code 1: the reason)",
        "Left out: slow (0.1 seconds were not enough)",
        "Left out: idle (0 of 3 trials have metrics)",
    ]
    assert [line.split(" | ")[0] for line in table.split("\n\n")[0].splitlines()[2:]] == [
        "| floor",
        "| seldom",
    ]


def test_one_of_ours_that_breaks_ends_the_benchmark() -> None:
    """Without it there is nothing to compare."""
    told = raced("""
        try:
            race([Contender("ours", ["false"])], 1)
        except SystemExit as end:
            print(json.dumps(str(end)))
    """)
    assert told == "ours: exit code 1: it said nothing"


def test_what_outlives_its_parent_is_counted() -> None:
    """A helper that left its parent and works on is counted."""
    told = raced("""
        work = "import time\\nwhile time.process_time() < 0.3: pass"
        start = f"import os\\nif os.fork() == 0:\\n    os.setsid()\\n    exec({work!r})"
        row = Contender("helper", [sys.executable, "-c", start])
        race([row], 1)
        print(json.dumps([row.wall[0], row.cpu[0]]))
    """)
    assert told[1] >= 0.3
