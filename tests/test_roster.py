"""Who works on a search, and requests to stop: through files alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from modeldir import files, roster


def test_a_worker_is_on_the_roster_while_it_works(tmp_path: Path) -> None:
    """It writes itself down, is seen alive, and takes its entry back."""
    assert roster.members(tmp_path) == []
    membership = roster.join(tmp_path, 3)
    (member,) = roster.members(tmp_path)
    assert (member.token, member.pid, member.jobs) == (membership.token, os.getpid(), 3)
    assert member.alive is True
    membership.leave()
    membership.leave()
    assert roster.members(tmp_path) == []


def test_a_killed_worker_is_not_counted(tmp_path: Path) -> None:
    """Its entry stays; its identity says that it is dead. Half an entry is passed over."""
    code = "import pathlib; from modeldir import roster; "
    code += f"roster.join(pathlib.Path({str(tmp_path)!r}), 1)"
    subprocess.run([sys.executable, "-c", code], check=True)
    (tmp_path / ".modeldir/workers/half.json").write_text('{"token": "ha')
    assert len(list((tmp_path / ".modeldir/workers").iterdir())) == 2
    assert roster.members(tmp_path) == []


def test_a_worker_of_another_host_may_be_alive(tmp_path: Path) -> None:
    """What cannot be seen from here is asked too."""
    membership = roster.join(tmp_path, 1)
    path = tmp_path / f".modeldir/workers/{membership.token}.json"
    entry = json.loads(path.read_text())
    entry["process"] |= {"host": "elsewhere", "machine": "m", "boot": "b"}
    files.write_json(path, entry | {"host": "elsewhere"})
    (member,) = roster.members(tmp_path)
    assert (member.host, member.alive) == ("elsewhere", None)


def test_nobody_works_on_a_copy(tmp_path: Path) -> None:
    """It was copied while the original ran; a search that was only moved is the same."""
    folder = tmp_path / "search"
    folder.mkdir()
    membership = roster.join(folder, 1)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert roster.members(copy) == []
    (member,) = roster.members(folder.rename(tmp_path / "moved"))
    assert member.token == membership.token


def test_a_request_is_for_those_it_names(tmp_path: Path) -> None:
    """Who joins later ignores it; the more urgent of two counts."""
    first, second = roster.join(tmp_path, 1), roster.join(tmp_path, 1)
    assert (first.asked_to_stop(), second.asked_to_stop()) == (None, None)
    members = [m for m in roster.members(tmp_path) if m.token == first.token]
    roster.ask_to_stop(tmp_path, members, "wait")
    later = roster.join(tmp_path, 1)
    told = [each.asked_to_stop() for each in (first, second, later)]
    assert told == ["wait", None, None]
    roster.ask_to_stop(tmp_path, roster.members(tmp_path), "now")
    roster.ask_to_stop(tmp_path, roster.members(tmp_path), "wait")
    assert [each.asked_to_stop() for each in (first, second, later)] == ["now"] * 3


def test_a_request_can_be_read_by_those_it_is_for(tmp_path: Path) -> None:
    """Also where whoever asks keeps his new files to himself."""
    membership = roster.join(tmp_path, 1)
    before = os.umask(0o077)
    try:
        roster.ask_to_stop(tmp_path, roster.members(tmp_path), "wait")
    finally:
        os.umask(before)
    stops = tmp_path / ".modeldir/stops"
    (request,) = stops.iterdir()
    assert (stops.stat().st_mode & 0o555, request.stat().st_mode & 0o444) == (0o555, 0o444)
    assert membership.asked_to_stop() == "wait"
