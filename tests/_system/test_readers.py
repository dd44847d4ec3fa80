"""Several readers at once: each thing once, and only where one would wait."""

from __future__ import annotations

import threading
import time

import pytest

from modeldir._system.readers import READERS, in_parts


class Work:
    """What was done, in which threads; each thing takes so long."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.done: list[int] = []
        self.threads: set[int] = set()
        self._seconds = seconds

    def __call__(self, start: int, end: int) -> None:
        for number in range(start, end):
            time.sleep(self._seconds)
            self.done.append(number)
            self.threads.add(threading.get_ident())


def test_who_does_not_wait_is_not_helped() -> None:
    """The first few are done, the others are left to who asked."""
    work = Work()
    done = in_parts(work, 1000, slow=10)
    assert work.done == [*range(done)]
    assert 0 < done < 1000
    assert work.threads == {threading.get_ident()}


def test_one_slow_thing_among_the_first_is_no_slow_place() -> None:
    """A busy machine makes anything wait for once."""
    work = Work()

    def hiccup(start: int, end: int) -> None:
        time.sleep(0.2 * (start == 3))
        work(start, end)

    assert in_parts(hiccup, 1000, slow=0.1) < 1000


@pytest.mark.parametrize("count", [1, 24, 25, 26, 100, 1777])
def test_where_one_waits_each_thing_is_done_once(count: int) -> None:
    work = Work(0.0002)
    assert in_parts(work, count, slow=0) == count
    assert sorted(work.done) == [*range(count)]
    assert len(work.threads) <= READERS + 1
    assert len(work.threads) > 1 or count < 1000


def test_nothing_is_done_where_nothing_is_to_do() -> None:
    work = Work()
    assert in_parts(work, 0, slow=0) == 0
    assert not work.done


def test_a_part_that_fails_is_left_undone_alone() -> None:
    """The readers go on with the other parts, whoever met the error."""
    work = Work()

    def fail(start: int, end: int) -> None:
        if start <= 500 < end:
            raise OSError
        work(start, end)

    assert in_parts(fail, 1000, slow=0) == 1000
    missing = {*range(1000)}.difference(work.done)
    assert 500 in missing
    assert len(missing) < 100


def test_interrupted_no_reader_goes_on() -> None:
    """Who presses Ctrl-C waits for what has begun, at most."""
    work = Work(0.001)
    main = threading.get_ident()

    def interrupted(start: int, end: int) -> None:
        if threading.get_ident() == main and start > 100:
            raise KeyboardInterrupt
        work(start, end)

    with pytest.raises(KeyboardInterrupt):
        in_parts(interrupted, 100_000, slow=0)
    for _ in range(100):
        if threading.active_count() == 1:
            break
        time.sleep(0.05)
    before = len(work.done)
    time.sleep(0.05)
    assert len(work.done) == before < 100_000
