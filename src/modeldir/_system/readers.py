"""Several readers at once, where each would have to wait: on a file server every look at a file is
a round trip, and ten thousand in turn are a minute in which nothing is done.

It knows how to tell that one waits, and how to share the work among threads. It refuses to help
where nobody waits: Python runs one thread at a time, and files that lie in memory are read by one
thread as quickly as by two. Start at `in_parts`.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

READERS = 16
_TRIED = 15
_PART = 10
"""Things that one reader takes at a time."""


def in_parts(work: Callable[[int, int], None], count: int, *, slow: float) -> int:
    """Do some work, from one number to another, for the first of `count` things; and where one of
    them took as many seconds as is `slow`, for all of them, by several threads. Returns for how
    many it was done.

    A thread that meets an error leaves its part undone, and nobody is told.
    """
    tried = min(_TRIED, count)
    if _middle([_timed(work, place) for place in range(tried)]) < slow:
        return tried
    import threading  # noqa: PLC0415 - where one waits for files, nobody waits for this

    parts = deque(range(tried, count, _PART))

    def read() -> None:
        while parts:
            with contextlib.suppress(Exception):
                start = parts.popleft()
                work(start, min(start + _PART, count))

    threads = [threading.Thread(target=read, daemon=True) for _ in range(READERS)]
    try:
        with contextlib.suppress(RuntimeError):  # no more threads are to be had
            for thread in threads:
                thread.start()
        read()
        for thread in threads:
            if thread.ident:
                thread.join()
    finally:  # interrupted: they end with what they have begun
        parts.clear()
    return count


def _timed(work: Callable[[int, int], None], place: int) -> float:
    began = time.perf_counter()
    work(place, place + 1)
    return time.perf_counter() - began


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0
