"""Job managers for the tests: said to be there they have to be, and none outlives the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import engines
from laboratory import kill, wait_until

CLUSTER = """\
import sys, engines
with engines.slurms() as made:
    cluster = made(nodes=1)
    cluster.run("sbatch", "--output=/dev/null", "--wrap=sleep 600")
    cluster.wait_for("RUNNING")
    print(cluster.folder, flush=True)
    sys.stdin.read()
"""


def test_an_engine_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tests are skipped with a line that says what to type; where it was said to be installed
    that is a failure.
    """
    monkeypatch.delenv("MODELDIR_ENGINES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make engines"):
        engines.need("abacus", "no-such-program")
    monkeypatch.setenv("MODELDIR_ENGINES", "slurm abacus")
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        engines.need("abacus", "no-such-program")
    engines.need("abacus", "sh")


def test_a_cluster_ends_with_the_tests(tmp_path: Path) -> None:
    """Also if they are killed: its daemons, its nodes, their jobs and its folder are gone."""
    engines.need("slurm", *engines.SLURM)
    tests = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert tests.stdin is not None
    assert tests.stdout is not None
    folder = Path(tests.stdout.readline().strip())
    pids = [int(path.read_text()) for path in (folder / "run").iterdir() if path.suffix != ".lock"]
    assert len(pids) >= 3
    kill(tests.pid)
    tests.communicate()
    wait_until(lambda: not folder.exists(), "the folder's end")
    assert [pid for pid in pids if not engines.is_gone(pid)] == []
