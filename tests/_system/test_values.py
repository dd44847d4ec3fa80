"""Frozen dataclasses of our own, beside those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
import typing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from threading import Barrier
from typing import ClassVar

import pytest

from modeldir._system.values import NamedTuple, dataclass, field, fields, replace
from modeldir.metrics.metrics import MetricsFile


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


@pytest.mark.parametrize("is_first", [True, False])
def test_the_standard_library_takes_it_for_one_of_its_own(*, is_first: bool) -> None:
    """Whoever uses modeldir has its functions at hand, whether there are instances or not."""
    point, named = made()
    one = None if is_first else point(1, {"a": 1})
    assert all(map(dataclasses.is_dataclass, (point, named)))
    assert [each.name for each in dataclasses.fields(named)] == ["x", "notes", "name"]
    one = point(1, {"a": 1}) if one is None else one
    assert dataclasses.replace(one, x=2) == point(2)
    assert dataclasses.asdict(named(1)) == {"x": 1, "notes": {}, "name": ""}


def test_ours_replaces_in_the_standard_library_s_own() -> None:
    """One function for both."""

    @dataclasses.dataclass
    class Own:
        x: int
        y: int = 2

    assert replace(Own(1), x=3) == Own(3, 2)


def test_what_a_class_says_itself_stays() -> None:
    """Its own functions, and what belongs to it alone."""

    @dataclass(frozen=True)
    class Point:
        x: int
        y: float = field(default=0.0, repr=False)
        kind: ClassVar[str] = "point"

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment] # as that has it

    assert [each.name for each in fields(Point)] == ["x", "y"]
    assert Point(1) == Point(2)
    assert repr(Point(1, 2)).endswith("Point(x=1)")
    assert (Point.y, Point.kind, Point(1).y) == (0.0, "point", 0.0)
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'x'"):
        del Point(1).x
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_it_costs_no_import() -> None:
    """`dataclasses` alone takes as long as `argparse` and `json` together."""
    code = (
        "import sys; from modeldir._system.values import dataclass, field, replace\n"
        "@dataclass(frozen=True)\nclass A:\n    x: int\n    y: dict = field(default_factory=dict)\n"
        "assert replace(A(1), x=2) == A(2) != A(1) and {repr(A(1)), A}\n"
        "assert not {'dataclasses', 'inspect'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# -- Tuples ----------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where something lies."""

    x: int
    y: int = 0
    names: tuple[str, ...] = ()

    @property
    def is_origin(self) -> bool:
        """Whether it is where counting begins."""
        return self[:2] == (0, 0)


class Theirs(typing.NamedTuple):
    """As typing has it."""

    x: int
    y: int = 0
    names: tuple[str, ...] = ()


def test_a_tuple_is_what_typing_makes() -> None:
    """By position and by name, with what the class adds; equal to plain tuples; copied whole."""
    place, theirs = Place(1, names=("a",)), Theirs(1, names=("a",))
    assert tuple(place) == (1, 0, ("a",)) == tuple(theirs)
    assert repr(place) == repr(theirs).replace("Theirs", "Place")
    assert (Place._fields, Place.__match_args__) == (Theirs._fields, Theirs.__match_args__)
    assert (Place.__doc__, Place.__module__) == ("Where something lies.", __name__)
    assert (Place.__qualname__, Place(0).is_origin) == ("Place", True)
    assert place._replace(y=2)._asdict() == {"x": 1, "y": 2, "names": ("a",)}
    assert pickle.loads(pickle.dumps(place)) == copy.deepcopy(place) == place
    assert typing.get_type_hints(Place) == typing.get_type_hints(Theirs)
    assert not hasattr(place, "__dict__")
    make: typing.Any = Place
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        make()
    with pytest.raises(AttributeError):
        make(1).x = 2
