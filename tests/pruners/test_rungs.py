"""Rung files: what siblings leave for each other, whoever is killed and however full a disk is."""

from __future__ import annotations

import errno
import math
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from modeldir._system import files
from modeldir.pruners import rungs
from modeldir.pruners.rungs import RungFiles


def a_file(folder: Path, rung: int) -> Path:
    """The one file of a rung."""
    (path,) = (folder / "accuracy" / str(rung)).iterdir()
    return path


def of(folder: Path, number: int, attempt: int = 1) -> RungFiles:
    return RungFiles(folder / "asha", "accuracy", number, attempt)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "asha"


def test_each_sees_what_all_have_left(tmp_path: Path) -> None:
    """Also what is no finite number; at other rungs and of other metrics nothing."""
    of(tmp_path, 1).record(3, 0.5)
    of(tmp_path, 2).record(3, -math.inf)
    of(tmp_path, 1).record(9, 0.9)
    RungFiles(tmp_path / "asha", "loss", 3).record(3, 7.0)
    seen = of(tmp_path, 4).record(3, 1e-300)
    assert seen == {1: 0.5, 2: -math.inf, 4: 1e-300}


def test_nan_is_a_value(tmp_path: Path) -> None:
    """It comes back as it was left."""
    of(tmp_path, 1).record(1, math.nan)
    assert math.isnan(of(tmp_path, 2).record(1, 0.5)[1])


def test_a_line_says_in_words_what_it_holds(tmp_path: Path, folder: Path) -> None:
    """Trial, attempt and value can be read by anybody."""
    of(tmp_path, 12, 2).record(3, 0.93)
    assert a_file(folder, 3).read_text() == "12 2 0.93 AAAAAAAMAAACDPONMCIPFMCIPFMD\n"


def test_a_metric_of_any_name_is_one_folder(tmp_path: Path, folder: Path) -> None:
    """`../accuracy` leads nowhere."""
    RungFiles(folder, "../top/acc@1", 1).record(1, 0.5)
    assert os.listdir(tmp_path) == ["asha"]
    assert len(os.listdir(folder)) == 1


def test_of_two_attempts_the_later_counts(tmp_path: Path) -> None:
    """A restarted trial replaces its value; it does not count twice."""
    of(tmp_path, 1).record(1, 0.9)
    of(tmp_path, 2).record(1, 0.5)
    assert of(tmp_path, 1, 2).record(1, 0.3) == {1: 0.3, 2: 0.5}


def test_of_two_attempts_on_two_hosts_the_later_counts(tmp_path: Path, folder: Path) -> None:
    """In whichever order the hosts' files are read."""
    of(tmp_path, 1).record(1, 0.9)
    of(tmp_path, 2).record(1, 0.5)
    for other in ("aaa.txt", "zzz.txt"):
        files.append_whole(
            folder / "accuracy" / "1" / other,
            b"1 2 0.3 AAAAAAABAAACDPNDDDDDDDDDDDDD\n",
        )
    assert of(tmp_path, 3).values(1) == {1: 0.3, 2: 0.5}


@pytest.mark.parametrize("kept", range(1, 37))
def test_a_torn_line_is_passed_over_and_swallows_nothing(
    tmp_path: Path, folder: Path, kept: int
) -> None:
    """Wherever a killed writer or a full disk cut it."""
    of(tmp_path, 1).record(1, 0.25)
    of(tmp_path, 22).record(1, 0.123456)
    path = a_file(folder, 1)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + kept])
    assert of(tmp_path, 3).record(1, 0.5) == {1: 0.25, 3: 0.5}
    assert of(tmp_path, 4).values(1) == {1: 0.25, 3: 0.5}


def test_what_is_no_line_of_ours_is_passed_over(tmp_path: Path, folder: Path) -> None:
    """Zeros that a power cut left, words, half of one line before half of another."""
    of(tmp_path, 1).record(1, 0.25)
    path = a_file(folder, 1)
    with path.open("ab") as file:
        file.write(b"\0\0\0\0\nhello\n\n7 1 0.5 zzAAAAAHAAABzzzzzzzzzzzzzzzz\n9 1 0.9 AA\xff\n")
    assert of(tmp_path, 2).record(1, 0.5) == {1: 0.25, 2: 0.5}


def test_a_full_disk_ends_no_training(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial is judged by what it knows: the others' values and its own."""
    of(tmp_path, 1).record(1, 0.25)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "append_whole", full)
    assert of(tmp_path, 2).record(1, 0.5) == {1: 0.25, 2: 0.5}
    assert of(tmp_path, 3).values(1) == {1: 0.25}


def test_a_place_that_is_no_folder_ends_no_training(tmp_path: Path) -> None:
    """Somebody put a file there."""
    (tmp_path / "asha").write_text("")
    assert of(tmp_path, 2).record(1, 0.5) == {2: 0.5}


def test_removed_trials_do_not_count_until_they_come_back(tmp_path: Path) -> None:
    """A trial that was taken out of the search sets no bar."""
    of(tmp_path, 1).record(1, 0.9)
    of(tmp_path, 2).record(1, 0.5)
    rungs.note_removed(tmp_path, {1, 7})
    assert of(tmp_path, 2).values(1) == {2: 0.5}
    rungs.note_removed(tmp_path, {7})
    assert of(tmp_path, 2).values(1) == {1: 0.9, 2: 0.5}


def test_a_rung_is_passed_by_what_is_gone_on_from(tmp_path: Path) -> None:
    """By an earlier attempt, where this one resumes; by the parent, where it took its weights."""
    of(tmp_path, 1).record(3, 0.9)
    assert RungFiles(tmp_path / "asha", "accuracy", 1, 2, resumes=True).passed(3)
    assert not RungFiles(tmp_path / "asha", "accuracy", 1, 2, resumes=True).passed(9)
    assert not RungFiles(tmp_path / "asha", "accuracy", 1, 2).passed(3)
    assert not RungFiles(tmp_path / "asha", "accuracy", 2, 2, resumes=True).passed(3)
    assert RungFiles(tmp_path / "asha", "accuracy", 5, begun=4).passed(3)
    assert not RungFiles(tmp_path / "asha", "accuracy", 5, begun=4).passed(9)


def leave_many(folder: Path, first: int, start: threading.Barrier) -> None:
    start.wait()
    for number in range(first, first + 200):
        RungFiles(folder, "accuracy", number).record(1, number / 1000)


def test_many_processes_leave_their_values_at_once(folder: Path) -> None:
    """Each arrives whole, and of any two that come at the same time one sees the other."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    each = [context.Process(target=leave_many, args=(folder, n, start)) for n in (1, 201, 401, 601)]
    for process in each:
        process.start()
    for process in each:
        process.join()
        assert process.exitcode == 0
    expected = {number: number / 1000 for number in range(1, 801)}
    assert RungFiles(folder, "accuracy", 1).values(1) == expected
    # One is empty where somebody looked between two pages of another's line: it says nothing.
    assert len([line for line in a_file(folder, 1).read_bytes().splitlines() if line]) == 800
