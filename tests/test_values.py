"""Frozen dataclasses that are completed when the first of them is made."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, field, fields, replace
from threading import Barrier, Event, Thread

import pytest

from modeldir.metrics import MetricsFile
from modeldir.values import dataclass


def made() -> tuple[type, type]:
    """A class of which there is no instance yet, and one that inherits from it."""

    @dataclass(frozen=True)
    class Point:
        """A place."""

        x: int
        notes: dict[str, int] = field(default_factory=dict, compare=False)

    @dataclass(frozen=True)
    class Named(Point):
        """A place with a name."""

        name: str = ""

    return Point, Named


def test_it_is_what_the_standard_library_makes() -> None:
    """Equal by value, hashed, printed, replaced, and never changed."""
    point, _ = made()
    one = point(1, notes={"a": 1})
    assert one == point(1)
    assert hash(one) == hash(point(x=1))
    assert repr(point(1)).endswith("Point(x=1, notes={})")
    assert replace(one, x=2).x == 2
    assert [each.name for each in fields(point)] == ["x", "notes"]
    with pytest.raises(FrozenInstanceError):
        one.x = 3
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        point()


@pytest.mark.parametrize("first", ["its own", "the base's"])
def test_what_it_inherits_is_known(first: str) -> None:
    """Whichever of the two is made first; the first time as every other."""
    point, named = made()
    if first == "the base's":
        point(5)
    assert [(each.x, each.name) for each in (named(1), named(1, name="n"))] == [(1, ""), (1, "n")]
    assert point(1) == point(1) != named(1)


def test_several_threads_may_make_the_first_one() -> None:
    """Each gets a whole one."""
    for _ in range(50):
        point, _ = made()
        together = Barrier(4)

        def one(number: int, point: type = point, together: Barrier = together) -> object:
            together.wait()
            return point(number).x

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(one, range(4))) == [0, 1, 2, 3]


class Slow(type):
    """Of its classes others make instances while they are being completed."""

    def __setattr__(cls, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "__dataclass_params__" and "__completed_later__" in vars(cls):
            cls.thread = Thread(target=cls.make)
            cls.thread.start()
            cls.thread.join(0.2)  # it waits until all is there

    def make(cls) -> None:
        cls.second = cls(2)


def test_who_comes_while_it_is_completed_waits() -> None:
    """At no moment is there a class that takes no arguments."""

    @dataclass(frozen=True)
    class Point(metaclass=Slow):
        x: int

    there = Event()
    other = Thread(target=there.wait)  # there are threads, as where this can happen
    other.start()
    try:
        assert Point(1).x == 1
    finally:
        there.set()
        other.join()
    Point.thread.join()
    assert (Point.second, Point.second.x) == (Point(2), 2)


def test_the_first_one_may_come_out_of_a_pickle() -> None:
    """No `__init__` is called there; what comes is equal, printed and frozen all the same."""
    data = pickle.dumps(MetricsFile("eval", "best", "results.json"))
    code = (
        "import pickle; from dataclasses import FrozenInstanceError\n"
        f"one, two = pickle.loads({data!r}), pickle.loads({data!r})\n"
        "assert one == two and 'results.json' in repr(one), one\n"
        "try:\n    one.name = 'x'\nexcept FrozenInstanceError:\n    print('frozen')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "frozen\n"
    assert copy.copy(pickle.loads(data)) == MetricsFile("eval", "best", "results.json")


def test_a_class_without_instances_costs_no_import() -> None:
    """`dataclasses` alone takes as long as `argparse` and `json` together."""
    code = (
        "import sys; from modeldir.values import dataclass\n"
        "@dataclass(frozen=True)\nclass A:\n    x: int\n"
        "assert 'dataclasses' not in sys.modules; A(1)\n"
        "assert 'dataclasses' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
