"""Joining a search that is there: what it costs for each trial, as a file server would feel it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from laboratory import Project, let_it_be_long_ago

COUNTING = """
import atexit, collections, json, os, sys
seen = collections.Counter()
def count(event, args):
    if event in {"open", "os.listdir", "os.scandir"} and str(args[0]).find("search/") >= 0:
        seen["opens" if event == "open" else "listings"] += 1
sys.addaudithook(count)
atexit.register(lambda: json.dump(seen, open("counts.json", "w")))
sys.argv[0] = "modeldir"
from modeldir.commands import entry
entry()
"""


def counts(project: Project) -> Counter[str]:
    """Run a finished search again, and return how often it opened and listed something in it."""
    words = ["search", "experiments/search"]
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, *words], cwd=project.path, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return Counter(json.loads((project.path / "counts.json").read_text()))


@pytest.mark.parametrize("words", [(), ("--sampler", "tpe")], ids=["grid", "tpe"])
def test_joining_reads_each_trial_once(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A finished trial costs a joining worker at most four opened files and one listing."""
    totals = []
    for count in (5, 25):
        project = Project(tmp_path / str(count))
        project.params("experiments/search", learning_rate=0.5)
        values = ",".join(str(round(0.01 * k, 2)) for k in range(1, count + 1))
        domain = "uniform:0,1" if words else values
        project.searches(f"learning_rate={domain}", *words, "--trials", str(count), "-j", "2")
        assert len(project.ended) == count
        let_it_be_long_ago(project.path / "experiments/search")
        totals.append(counts(project))
    more = {what: (totals[1][what] - totals[0][what]) / 20 for what in ("opens", "listings")}
    assert more["opens"] <= 4, totals
    assert more["listings"] <= 1, totals
