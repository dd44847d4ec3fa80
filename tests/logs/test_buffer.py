"""The log writer's buffer outlives it, at whatever moment it is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir._system import files
from modeldir.logs.capture import buffer
from modeldir.logs.capture.buffer import RingBuffer, Written, resumed
from modeldir.logs.capture.passthrough import Passthrough
from modeldir.logs.logfile import LogFile
from modeldir.logs.transcript import Transcript

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory that is shared")


@pytest.fixture
def memory() -> int:
    descriptor = buffer.create()
    assert descriptor is not None
    return descriptor


def pipe_with(data: bytes) -> int:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    assert os.write(writing, data) == len(data)
    os.close(writing)
    return reading


def test_another_one_finds_what_was_read(memory: int) -> None:
    """Places, bytes, and what of the lines was unfinished."""
    first = RingBuffer(os.dup(memory))
    assert first.read_from(pipe_with(b"one\ntw")) == 6
    first.feed_done(b"tw", 100)
    first.take(4)
    first.read_from(pipe_with(b"o\n"))
    second = RingBuffer(memory, left=True)
    assert (second.unfinished, second.noted, second.unfed()) == (b"tw", 100, b"o\n")
    assert bytes(second.next()) == b"two\n"


def test_what_was_read_and_not_noted_is_found(memory: int) -> None:
    """Killed between the read and the note of it."""
    first = RingBuffer(os.dup(memory))
    first.read_from(pipe_with(b"abc"))
    first._set_head(0)
    assert RingBuffer(memory, left=True).unfed() == b"abc"


def test_what_may_have_been_given_is_not_given_twice(memory: int) -> None:
    """Killed between a write to the terminal and the note of it."""
    first = RingBuffer(os.dup(memory))
    first.read_from(pipe_with(b"abcdef"))
    first.feed_done(b"abcdef", 0)
    first.intend(4)
    second = RingBuffer(memory, left=True)
    assert bytes(second.next()) == b"ef"
    second.take_all()
    assert (second.behind, second.room) == (False, buffer.SIZE)


@given(st.lists(st.tuples(st.integers(1, 200_000), st.integers(0, 200_000)), max_size=12))
def test_bytes_come_out_as_they_went_in(steps: list[tuple[int, int]]) -> None:
    """Round and round the ring, in pieces of any size, also for one that comes anew each time."""
    chance = random.Random(0)
    descriptor = buffer.create()
    assert descriptor is not None
    put, got, fed = bytearray(), bytearray(), bytearray()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    for size, taken in steps:
        each = RingBuffer(os.dup(descriptor), left=True)
        if each.room:
            data = chance.randbytes(size).replace(b"\0", b"x")
            put += data[: os.write(writing, data)]
            each.read_from(reading)
        fed += each.unfed()
        each.feed_done(b"", len(fed))
        while taken and each.behind:
            piece = bytes(each.next()[:taken])
            each.take(len(piece))
            got += piece
            taken -= len(piece)  # noqa: PLW2901 - so much is still to be taken
    last = RingBuffer(descriptor, left=True)
    while last.behind:
        got += last.next()
        last.take(len(last.next()))
    assert put.startswith(got)
    assert fed == got
    os.close(reading)
    os.close(writing)


def test_lines_that_are_there_are_not_written_again(tmp_path: Path, memory: int) -> None:
    """Killed between the write of some lines and the note of it; another writer's are between."""
    path = tmp_path / "train.log"
    file = LogFile(files.open_append(path), str(path), print)
    first = RingBuffer(os.dup(memory))
    first.feed_done(b"half of ", file.size)
    first.read_from(pipe_with(b"one\ntwo\nthree\nfour"))
    Transcript(file).feed(b"half of one\nanother's\ntwo\n", time.time())
    second = RingBuffer(memory, left=True)
    transcript = resumed(second, file, Written(str(path), second.noted, stamp=True), 30.0)
    transcript.feed(b"\n", time.time())
    texts = [line[24:] for line in path.read_text().splitlines()]
    assert texts == ["half of one", "another's", "two", "three", "four"]


def keep(memory: int, source: int, passthrough: int, path: Path) -> None:
    """Do what a log writer does with one channel, over and over."""
    left = path.exists()
    kept = RingBuffer(os.dup(memory), left=left)
    reflected = Passthrough(os.dup(passthrough), kept)
    written = Written(str(path), kept.noted, stamp=True)
    file = LogFile(files.open_append(path), str(path), print, torn=written.torn)
    transcript = resumed(kept, file, written, 30.0)
    while True:
        kept.feed_done(transcript.unfinished, file.size)
        reflected.push()
        if not kept.read_from(source):
            os._exit(0)
        transcript.feed(kept.unfed(), time.time())


def killed_after(seconds: float, work: Callable[[], None]) -> bool:
    """Run `work` in a process and kill it; whether it had come to its end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def test_killed_at_any_moment_nothing_is_lost_and_nothing_twice(
    tmp_path: Path, memory: int
) -> None:
    """A hundred log writers are killed within milliseconds; each continues where one was killed."""
    path, shown = tmp_path / "train.log", tmp_path / "shown"
    reading, writing = os.pipe()
    passthrough = os.open(shown, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    chance = random.Random(230)
    printer = os.fork()
    if printer == 0:
        os.close(reading)
        for n in range(3000):
            for piece in (b"line", b" %d." % n, b"\n"):
                os.write(writing, piece)
            time.sleep(0.0002)
        os._exit(0)
    os.close(writing)
    kills = 0
    while not killed_after(
        chance.random() * 0.02, lambda: keep(memory, reading, passthrough, path)
    ):
        kills += 1
    os.waitpid(printer, 0)
    expected = [f"line {n}." for n in range(3000)]  # no part of one is another
    said = [line[24:] for line in path.read_text().splitlines() if line[24:]]
    assert kills > 10
    assert [line for line in said if line in set(expected)] == expected
    # A kill between two instructions costs the terminal a piece, and never shows one twice.
    seen = [int(number) for number in re.findall(r"line (\d+)\.\n", shown.read_text())]
    assert seen == sorted(set(seen))
    assert len(seen) > 2700
