"""Bytes in, lines with times out: what is unfinished, and what a file that fails does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir._system import files
from modeldir.logs.logfile import LogFile, exit_text
from modeldir.logs.transcript import Transcript

NOON = time.mktime((2026, 11, 24, 12, 0, 0, 0, 0, -1))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogFile]:
    file = LogFile(files.open_append(tmp_path / "train.log"), "train.log", print)
    yield file
    file.close()


def lines(folder: Path) -> list[str]:
    return (folder / "train.log").read_bytes().decode("utf-8", "surrogateescape").splitlines()


def test_each_line_has_the_time_at_which_it_ended(tmp_path: Path, log: LogFile) -> None:
    """Local time, to the millisecond."""
    transcript = Transcript(log)
    transcript.feed(b"one\ntw", NOON)
    transcript.feed(b"o\n", NOON + 61.25)
    assert lines(tmp_path) == ["2026-11-24 12:00:00,000 one", "2026-11-24 12:01:01,250 two"]


def test_what_is_unfinished_is_kept_now_and_then(tmp_path: Path, log: LogFile) -> None:
    """A bar, and a line that waits for its end, are snapshots; the last state is the line."""
    transcript = Transcript(log, every=30.0)
    transcript.feed(b"\r10%", NOON)
    assert transcript.due == pytest.approx(NOON + 30)
    transcript.tick(NOON + 29)
    transcript.feed(b"\r20%", NOON + 29.5)
    transcript.tick(NOON + 30)
    transcript.tick(NOON + 59)
    transcript.tick(NOON + 61)  # nothing has changed since
    transcript.feed(b"\r100%\n", NOON + 62)
    transcript.tick(NOON + 63)
    assert [line[17:] for line in lines(tmp_path)][:1] == ["30,000~20%"]
    transcript.finish(NOON + 64)
    assert [line[23:] for line in lines(tmp_path)] == ["~20%", " 100%"]
    assert transcript.due is None


def test_a_bar_of_ten_hours_leaves_a_line_every_half_minute(tmp_path: Path, log: LogFile) -> None:
    """Drawn every second: at most 1,200 snapshots and the last state."""
    transcript = Transcript(log, every=30.0)
    for second in range(36_000):
        transcript.feed(b"\r%5d/36000" % second, NOON + second)
    transcript.feed(b"\r36000/36000\n", NOON + 36_000)
    transcript.finish(NOON + 36_000)
    kept = [line[23:] for line in lines(tmp_path)]
    assert kept[-1] == " 36000/36000"
    assert 1_190 <= len(kept) <= 1_201
    assert {line[0] for line in kept[:-1]} == {"~"}


def test_a_clock_that_is_set_back_stops_no_snapshot(tmp_path: Path, log: LogFile) -> None:
    """Or forward: bars leave one soon, a finished one is written, each line has its own time."""
    transcript = Transcript(log, every=30.0)
    transcript.feed(b"before\n\r10%", NOON)
    transcript.feed(b"\r20%", NOON - 3600)
    assert transcript.due == pytest.approx(NOON - 3600 + 30)
    transcript.tick(NOON - 3600 + 30)
    transcript.feed(b"\r100%\n", NOON + 7200)
    transcript.tick(NOON)
    transcript.tick(NOON + 0.3)
    transcript.tick(NOON + 0.6)
    assert [line[11:19] + line[23:] for line in lines(tmp_path)] == [
        "12:00:00 before", "11:00:30~20%", "12:00:00 100%",
    ]  # fmt: skip


def test_a_last_line_that_never_ended_is_told_apart(tmp_path: Path, log: LogFile) -> None:
    """Cut off by a kill: `|` stands before it, also before half a character."""
    transcript = Transcript(log)
    transcript.feed(b"whole\nhalf \xc3", NOON)
    transcript.finish(NOON)
    assert [line[23:] for line in lines(tmp_path)] == [" whole", "|half \udcc3"]


@given(st.binary(), st.lists(st.integers(0, 50)))
def test_how_bytes_are_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    """Any bytes, in any pieces, at one time: the same file, without a control character."""
    written = []
    for places in ([], cuts):
        edges = sorted({0, len(data), *(min(cut, len(data)) for cut in places)})
        reading, writing = os.pipe()
        file = LogFile(writing, "x", print)
        transcript = Transcript(file)
        for start, end in pairwise(edges):
            transcript.feed(data[start:end], NOON)
        transcript.finish(NOON)
        file.close()
        with open(reading, "rb") as pipe:
            written.append(pipe.read())
    assert written[0] == written[1]
    assert not set(written[0]) & ({*range(32)} - {9, 10})


# -- The file --------------------------------------------------------------------------------------


def test_a_disk_that_has_room_again_says_what_is_missing(tmp_path: Path) -> None:
    """The complaint comes once; when it can be written again the file says how much is missing."""
    told: list[str] = []
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    file = LogFile(writing, "train.log", told.append)
    while len(told) < 1:
        file.write(["x" * 4000], NOON)  # the pipe fills, as a disk does
    file.write(["lost", "lost too"], NOON)
    (complaint,) = told
    assert complaint.startswith("modeldir: train.log cannot be written (")
    assert complaint.endswith(
        "The training run continues; lines are missing in the file until it can be written."
    )
    while len(os.read(reading, 65536)) == 65536:
        pass
    file.write(["after"], NOON)
    text = os.read(reading, 65536).decode()
    assert "2026-11-24 12:00:00,000 3 lines are missing here\n" in text
    assert text.endswith(" after\n")
    assert len(told) == 1
    file.close()
    file.close()
    file.write(["closed"], NOON)
    os.close(reading)


def test_lines_that_were_written_are_not_said_to_be_missing(tmp_path: Path) -> None:
    """A disk takes the beginning of a batch: the others are counted, and once, however often."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    file = LogFile(writing, "train.log", lambda _: None)
    batch = ["x" * 93 for _ in range(1000)]  # each is 118 bytes in the file
    kept = b""
    for _ in range(3):
        file.write(batch, NOON)
        kept += os.read(reading, 1 << 20)
    file.write(["after"], NOON)
    kept += os.read(reading, 1 << 20)
    file.close()
    os.close(reading)
    lines = kept.decode().splitlines()
    whole = sum(line.endswith(" " + "x" * 93) for line in lines)
    missing = [int(line.split()[3]) for line in lines if line.endswith("are missing here")]
    assert 0 < whole < 3000
    assert whole + sum(missing) == 3000
    assert lines[-1].endswith(" after")
    assert "" not in lines


def test_a_torn_line_is_ended_first(tmp_path: Path) -> None:
    """A torn line of a killed writer does not swallow the next line."""
    (tmp_path / "train.log").write_bytes(b"tor")
    descriptor = files.open_append(tmp_path / "train.log")
    file = LogFile(descriptor, "train.log", print, torn=True)
    file.write(["new"], NOON)
    file.close()
    assert lines(tmp_path) == ["tor", "2026-11-24 12:00:00,000 new"]


@pytest.mark.parametrize(
    ("status", "told"),
    [(0, "clean"), (3 << 8, "exit 3"), (9, "signal SIGKILL"), (11 | 128, "signal SIGSEGV")],
)
def test_wait_s_word_is_told_in_ours(status: int, told: str) -> None:
    """An exit code or the name of a signal."""
    assert exit_text(status) == told
