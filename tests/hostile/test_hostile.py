"""Searches on hostile file systems: the quick variant of each part of `hostile.campaign`.

The last tests give the judge of the journal what it must not overlook.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import engines
from hostile import faults, hosts, polls, shared_folders
from hostile.journal import judge
from modeldir._system import processes

pytestmark = [
    pytest.mark.skipif(not processes.LINUX, reason="mounts and namespaces are those of Linux"),
    pytest.mark.timeout(240),  # the machine may be busy
]


@pytest.fixture
def _fuse() -> None:
    if missing := hosts.missing_programs():
        engines.lacks("fuse", missing)
    if reason := hosts.why_not():
        pytest.skip(reason)


@pytest.fixture
def _compiler() -> None:
    if reason := faults.why_not():
        engines.lacks("compiler", reason)


@pytest.mark.slow
@pytest.mark.usefixtures("_fuse")
@pytest.mark.parametrize("containers", [False, True])
@pytest.mark.parametrize("kind", ["bindfs", "bind"])
def test_one_folder_through_two_mounts_is_one_search(
    tmp_path: Path,
    kind: str,
    containers: bool,  # noqa: FBT001
) -> None:
    """Two searches of one folder, each through its own mount, run each trial once, to its end."""
    found = shared_folders.two_mounts(tmp_path, kind, containers=containers, trials=10)
    assert found.problems == []
    assert found.counts["training runs"] == 10


@pytest.mark.slow
@pytest.mark.usefixtures("_fuse")
@pytest.mark.parametrize("cache_seconds", [0, 1, 3])
def test_hosts_with_stale_caches_share_a_search(tmp_path: Path, cache_seconds: float) -> None:
    """Two hosts, whose kernels know each file as it was some seconds ago, run each trial once."""
    found = shared_folders.two_hosts(tmp_path, cache_seconds, trials=8)
    assert found.problems == []
    assert found.counts["training runs"] == 8


@pytest.mark.slow
@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_trials_run_once_without_hard_links(tmp_path: Path, delay: float) -> None:
    """Without `link` and `renameat2`, and with files that stay empty, no trial runs twice."""
    found = faults.no_hard_links(tmp_path, delay, trials=8)
    assert found.problems == []
    assert found.counts["training runs"] == 8
    assert found.counts["links refused"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("call", sorted({call for call, _ in faults.CALLS}))
def test_calls_that_fail_cost_no_trial(tmp_path: Path, call: str) -> None:
    """A search whose own files cannot be written now and then completes when run again."""
    found = faults.failing_calls(tmp_path, call, calls=[call], trials=10, rounds=2)
    assert found.problems == []
    assert found.counts["calls that failed"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("_compiler")
def test_a_worker_leaves_when_asked_though_the_disk_is_full(tmp_path: Path) -> None:
    """It leaves within seconds after TERM; what ended well on the full disk is recorded later."""
    found = faults.full_disk(tmp_path)
    assert found.problems == []
    assert found.counts["calls that failed"] > 0


@pytest.mark.slow
def test_answers_about_a_running_search_are_those_of_one_moment(tmp_path: Path) -> None:
    """`synthesize`, `best` and `show` never contradict the journal of the training runs."""
    found = polls.polled(tmp_path, trials=30)
    assert found.problems == []
    assert found.counts["answers of synthesize"] > 1


# -- The judge -------------------------------------------------------------------------------------


def judged(
    home: Path, lines: list[tuple[str, str, int]], *ends: str | None, files_failed: bool = False
) -> set[str]:
    """Return the kinds of problems in a journal and in the run files of trial `x_0`."""
    facts = {"host": "here", "attempt": "1"}
    journal = [{"what": what, "trial": trial, "x": x, **facts} for what, trial, x in lines]
    (home / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in journal))
    folder = home / "search" / "x_0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text('{"x": 0}')
    for number, end in enumerate(ends, 1):
        name = "run.json" if number == 1 else f"run.{number}.json"
        (folder / name).write_text(json.dumps({"attempt": number, "status": end}))
    found = judge(home, home / "search", range(1), files_failed=files_failed)
    return {problem.partition(":")[0] for problem in found.problems}


START, END = ("start", "x_0", 0), ("end", "x_0", 0)


def test_the_judge_is_content_with_one_run_of_each_trial(tmp_path: Path) -> None:
    """One start, one end and one completed attempt are no problem."""
    assert judged(tmp_path, [START, END], "completed") == set()


@pytest.mark.parametrize(
    ("lines", "ends", "problems"),
    [
        ([START, END, START, END], ["completed", "completed"],
         {"completed and run again", "recorded wrongly"}),
        ([START, START, ("overlap", "x_0", 0), END, END], ["completed"],
         {"overlaps", "started twice"}),
        ([START, START, END], ["failed", "completed"], {"started twice", "recorded wrongly"}),
        ([START], ["completed"], {"never ended"}),
        ([], ["pending"], {"not run", "recorded wrongly"}),
        ([START, END], [], {"recorded wrongly"}),
        ([START, END, ("start", "x_0__2", 0), ("end", "x_0__2", 0)], ["completed"],
         {"completed and run again", "made twice"}),
    ],
)  # fmt: skip
def test_the_judge_sees_each_kind_of_problem(
    tmp_path: Path, lines: list[tuple[str, str, int]], ends: list[str], problems: set[str]
) -> None:
    """What must not happen to a trial is found in the journal or in the run files."""
    assert judged(tmp_path, lines, *ends) == problems


def test_the_judge_excuses_an_interrupted_attempt_where_files_failed(tmp_path: Path) -> None:
    """An attempt that could not be recorded may run again; a completed or failed one may not."""
    again = [START, START, END]
    assert judged(tmp_path, again, "interrupted", "completed", files_failed=True) == set()
    assert "recorded wrongly" in judged(tmp_path, again, "failed", "completed", files_failed=True)
    twice = judged(tmp_path, again, "completed", "completed", files_failed=True)
    assert twice == {"completed and run again"}


@pytest.mark.usefixtures("_compiler")
def test_a_rule_fails_calls_on_its_files_alone(tmp_path: Path) -> None:
    """A rule names a call, files, an error and how often; the log has each call that failed."""
    code = (
        "import os, sys\n"
        "for name in ('a.txt', 'b.txt', 'b.txt'):\n"
        "    try:\n"
        "        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)\n"
        "        print(name, os.write(descriptor, b'12345678'))\n"
        "        os.write(descriptor, b'12345678')\n"
        "    except OSError as error:\n"
        "        print(name, error.strerror)\n"
    )
    full = faults.Rule("write", "*/a.txt", errno.ENOSPC)
    faulty = faults.Faults(tmp_path, [full, faults.Rule("create", "*/b.txt", errno.EIO, limit=1)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **faulty.variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "a.txt 4",
        "a.txt No space left on device",
        "b.txt Input/output error",
        "b.txt 8",
    ]
    assert faulty.count() == 2
