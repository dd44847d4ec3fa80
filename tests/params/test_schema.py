"""Schemas: what fits, what is filled in, and all that is wrong in one message."""

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir import Params
from modeldir.errors import ParamsError
from modeldir.params.schema import Schema, checked

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

Rate = NewType("Rate", float)
PATH = "experiments/base_model/params.json"


class Algorithm(enum.Enum):
    """By its values, as a file has them."""

    ADAM = "adam"
    SGD = "sgd"


class Level(enum.IntEnum):
    """One that is a number too."""

    LOW = 1


@dataclass
class Layer:
    """In a list."""

    width: int
    activation: Literal["relu", "gelu"] = "relu"


@dataclass
class Optimizer:
    """A nested part."""

    lr: Rate = Rate(1e-3)
    betas: tuple[float, float] = (0.9, 0.999)
    algorithm: Algorithm = Algorithm.ADAM


@dataclass
class Hyperparameters(Schema):
    """What a project may have."""

    learning_rate: float
    batch_size: int
    num_epochs: int = 10
    augment: bool = False
    name: str | None = None
    data: Path = Path("data")
    optimizer: Optimizer = field(default_factory=Optimizer)
    layers: list[Layer] = field(default_factory=lambda: [Layer(8)])
    weights: dict[str, float] = field(default_factory=dict)
    sizes: tuple[int, ...] = ()
    note: Annotated[Union[int, str], "either"] = ""  # noqa: UP007 - the older way of writing it
    parent: Optional[Hyperparameters] = None  # noqa: UP045 - as above
    anything: Any = None
    kind: ClassVar[str] = "no hyperparameter"
    made: int = field(default=0, init=False)


GOOD = {"batch_size": 32, "learning_rate": 0.1}


@dataclass
class One:
    """For one annotation at a time."""

    x: Any


def fits(annotation: Any, value: Any) -> Any:
    """What a value of an annotation becomes."""
    return checked({"x": value}, dataclasses.make_dataclass("One", [("x", annotation)]))["x"]


def problems(values: dict[str, Any], schema: type) -> str:
    """What is said of values that do not fit."""
    with pytest.raises(ParamsError) as caught:
        checked(values, schema, PATH)
    return str(caught.value)


# -- What fits -------------------------------------------------------------------------------------


def test_defaults_are_filled_in_behind_the_files_values() -> None:
    """In the file's order, then the schema's; nested dataclasses become nested parts."""
    filled = checked({**GOOD, "optimizer": {"betas": [0.5, 1]}}, Hyperparameters)
    assert list(filled.items()) == [
        ("batch_size", 32),
        ("learning_rate", 0.1),
        ("optimizer", {"betas": (0.5, 1), "lr": 1e-3, "algorithm": Algorithm.ADAM}),
        ("num_epochs", 10),
        ("augment", False),
        ("name", None),
        ("data", Path("data")),
        ("layers", [{"width": 8, "activation": "relu"}]),
        ("weights", {}),
        ("sizes", ()),
        ("note", ""),
        ("parent", None),
        ("anything", None),
    ]


def test_the_values_given_are_left_as_they_are() -> None:
    """And what comes back shares nothing with them, nor with the defaults."""
    given_values = {**GOOD, "layers": [{"width": 1}], "anything": [[1], {"a": [2]}]}
    before = json.dumps(given_values)
    for _ in range(2):
        filled = checked(given_values, Hyperparameters)
        assert filled["weights"] == {}
        filled["layers"].append(1)
        filled["anything"][1]["a"].append(1)
        filled["weights"]["x"] = 1
    assert json.dumps(given_values) == before


@pytest.mark.parametrize(
    ("annotation", "value", "kept"),
    [
        (int, 2**70, 2**70),
        (float, 1, 1),
        (float, 5e-324, 5e-324),
        ("float", 1, 1),
        (bool, True, True),
        (None, None, None),
        (int | None, None, None),
        (Optional[float], 3, 3),  # noqa: UP045 - the older way of writing it
        (Union[str, int], 3, 3),  # noqa: UP007 - as above
        (bool | int, 1, 1),
        (Literal[1, "a"] | None, 1, 1),
        (Algorithm, "adam", Algorithm.ADAM),
        (Algorithm | None, Algorithm.ADAM, Algorithm.ADAM),
        (Level, 1, Level.LOW),
        (Path, "a/b", Path("a/b")),
        (Path | None, Path("a"), Path("a")),
        (list, [1, "a"], [1, "a"]),
        (list[list[int]], [[1], []], [[1], []]),
        (typing.List[int], [1], [1]),  # noqa: UP006 - the older way of writing it
        (typing.Sequence[int], [1], [1]),
        (tuple, [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (typing.Mapping[str, Any], {"a": 1}, {"a": 1}),
        (Annotated[Rate, "how fast"], 0.1, 0.1),
        (Any, {"a": [None]}, {"a": [None]}),
        (object, "x", "x"),
        (Layer | None, {"width": 1}, {"width": 1, "activation": "relu"}),
        (int | list[int], [1], [1]),
    ],
)
def test_what_fits_is_kept_as_it_is_written(annotation: Any, value: Any, kept: Any) -> None:
    """But for what JSON cannot say: a path, an Enum's member, a tuple."""
    result = fits(annotation, value)
    assert (result, type(result)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, "1e-3"),
        (float, True),
        (float, None),
        (int, 32.0),
        (int, 32.5),
        (int, True),
        (int, "32"),
        (bool, 1),
        (bool, 0),
        (bool, "true"),
        (str, 1),
        (str, None),
        (None, 0),
        (int | None, "None"),
        (int | str, 1.5),
        (Literal[1, "a"], "1"),
        (Algorithm, "ADAM"),
        (Path, 1),
        (list[int], [1, 1.5]),
        (list[int], "12"),
        (list[int], {"a": 1}),
        (tuple[int, str], [1]),
        (tuple[int, str], [1, "a", 2]),
        (tuple[int, ...], [1, "a"]),
        (dict[str, int], {"a": "1"}),
        (dict[str, int], [1]),
        (Layer, 3),
        (Layer | None, []),
    ],
)
def test_what_does_not_fit_is_never_made_to(annotation: Any, value: Any) -> None:
    """No string is a number, no number is true, nothing is rounded. The error names the key."""
    with pytest.raises(ParamsError, match=r"\n  x[:\[.]"):
        fits(annotation, value)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
))  # fmt: skip
def test_a_value_either_fits_or_is_told(value: Any) -> None:
    """Whatever a file holds, for any annotation: the value itself, or one error."""
    kinds: tuple[Any, ...] = (int, float, bool, str, None, list[int], dict[str, float], Layer)
    for kind in (*kinds, int | str | list[int] | Layer | None):
        key = "x"
        try:
            assert fits(kind, value) == value or isinstance(value, dict)
        except ParamsError as error:
            key = error.key or ""
        assert key.startswith("x")


# -- What does not ---------------------------------------------------------------------------------


def test_all_problems_are_one_error(snapshot: SnapshotAssertion) -> None:
    """Unknown, missing and wrong names, with where they are, what was found and what to type."""
    values = {
        "learing_rate": 0.1, "batch_size": 32.0, "num_epochs": "ten", "augment": 1, "name": 3,
        "data": 3, "optimizer": {"lr": "1e-3", "betas": [1], "algorithm": "adm", "momentum": 0.9},
        "layers": [{"width": 1}, {"widht": 2}, {"width": True, "activation": "gleu"}, 4],
        "weights": {"a": None, "b": "1"}, "sizes": [1, "2"], "note": 1.5,
        "parent": {"batch_size": 1, "learning_rate": "0.1"}, "made": 3, "kind": "x",
    }  # fmt: skip
    assert problems(values, Hyperparameters) == snapshot


def test_of_several_parts_the_one_that_was_meant_is_told() -> None:
    """It is the one with the fewest mistakes: told apart by a `Literal`, or by their names."""

    @dataclass
    class Sgd:
        kind: Literal["sgd"]
        lr: float
        momentum: float = 0.0

    @dataclass
    class Adam:
        kind: Literal["adam"]
        lr: float
        eps: float = 1e-8

    schema = make(optimizer=Sgd | Adam | None)
    told = problems({"optimizer": {"kind": "adam", "lr": 1, "epss": 1}}, schema)
    assert told.splitlines()[1:] == [
        "  optimizer.epss: Adam has no such key",
        "    did you mean 'eps'?",
    ]
    assert "kind" not in problems({"optimizer": {"kind": "adam", "lr": "1"}}, schema)


def test_the_error_knows_the_file_and_the_first_name() -> None:
    """For those who catch it."""
    with pytest.raises(ParamsError) as caught:
        checked({"learning_rate": 0.1, "batch_size": "1"}, Hyperparameters, PATH)
    assert (caught.value.path, caught.value.key) == (PATH, "batch_size")
    with pytest.raises(ParamsError, match="The hyperparameters do not fit Hyperparameters:"):
        checked({}, Hyperparameters)


def test_a_long_value_is_cut_in_the_message() -> None:
    """A message fits a screen."""
    assert max(map(len, problems({"x": ["a" * 1000]}, make(x=int)).splitlines())) < 120


class Unsupported:
    """Something of the user's own."""


def make(**annotations: Any) -> type:
    return dataclasses.make_dataclass("Settings", annotations.items())


@pytest.mark.parametrize(
    ("annotation", "named"), [(Unsupported, "Unsupported"), (list[Unsupported], "Unsupported")]
)
def test_a_class_that_cannot_be_checked_is_named(annotation: Any, named: str) -> None:
    """The error names the schema and the type, and lists what can be used instead."""
    message = problems({"x": 1}, make(x=annotation))
    assert "Settings cannot be used as a schema" in message
    assert named in message
    assert "use int, float, str" in message
    assert "cannot be used as a schema" in problems({"gone": 1}, make(gone="NotDefined"))


@pytest.mark.parametrize("schema", [int, Unsupported, Layer(1), list[int], None, "Layer"])
def test_what_is_no_schema_is_told(schema: Any) -> None:
    """An instance, a class without fields, a text."""
    with pytest.raises(ParamsError, match="is not a schema: expected a dataclass"):
        checked({}, schema)


def test_annotations_are_read_where_they_were_written() -> None:
    """In a base class of another module, whose names mean what they mean there."""
    namespace: dict[str, Any] = {"__name__": "elsewhere"}
    module = type(sys)("elsewhere")
    vars(module).update(namespace)
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nWidth = int\n"
        "@dataclass\nclass Base:\n    width: Width\n    next: Base | None = None\n"
    )
    sys.modules["elsewhere"] = module
    try:
        exec(source, vars(module))

        @dataclass
        class Mine(module.Base):  # type: ignore[misc, name-defined]
            depth: int = 1

        assert checked({"width": 1, "next": {"width": 2}}, Mine) == {
            "width": 1,
            "next": {"width": 2, "next": None},
            "depth": 1,
        }
        assert "width: expected an integer" in problems({"width": "1"}, Mine)
    finally:
        del sys.modules["elsewhere"]


# -- The class's own word --------------------------------------------------------------------------


@dataclass
class Schedule:
    """Checks itself, with parts that are objects then."""

    steps: list[Layer]
    optimizer: Optimizer = field(default_factory=Optimizer)
    data: Path = Path()

    def __post_init__(self) -> None:
        if not isinstance(self.data, Path) or self.optimizer.algorithm is not Algorithm.ADAM:
            raise ValueError("only ADAM has a schedule")
        if sum(step.width for step in self.steps) == 0:
            raise ValueError("the steps need a width:\nat least one")
        assert self.optimizer.betas[0] < 1, "betas below 1"


@dataclass
class Project:
    """With a part that checks itself."""

    schedules: list[Schedule]


def test_a_class_may_check_itself(snapshot: SnapshotAssertion) -> None:
    """`__post_init__` is asked when the types are right; what it raises is one more problem."""
    good = {"steps": [{"width": 1}], "data": "d"}
    assert checked({"schedules": [good]}, Project)["schedules"][0]["data"] == Path("d")
    bad = [
        good,
        {"steps": []},
        {**good, "optimizer": {"algorithm": "sgd"}},
        {**good, "optimizer": {"betas": [1, 1]}},
        {"steps": 3},
    ]
    assert problems({"schedules": bad}, Project) == snapshot
    assert "Schedule: the steps need a width" in problems({"steps": []}, Schedule)


# -- msgspec and pydantic --------------------------------------------------------------------------


def test_without_pydantic_the_error_says_how_to_install_it(tmp_path: Path) -> None:
    """A schema needs the extra; `Params` without a schema does not, and imports neither library."""
    code = (
        "import sys, dataclasses\nfrom modeldir import Params\n"
        "from modeldir.errors import ParamsError\n"
        "schema = dataclasses.make_dataclass('Settings', [('x', int)])\n"
        "assert Params({'x': 1}).x == 1\n"
        "import modeldir.params.schema\n"
        "assert not {'msgspec', 'pydantic'} & set(sys.modules)\n"
        "sys.modules['pydantic'] = None\n"
        "try:\n    Params({'x': 1}, schema=schema)\n"
        "except ParamsError as error:\n    print(error)"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout == "schema=Settings needs pydantic\n  pip install 'modeldir[schema]'\n"


def test_a_type_error_of_the_class_is_reported() -> None:
    """Pydantic reports only ValueErrors of `__post_init__`; a TypeError is no traceback either."""

    @dataclass
    class Wrong:
        x: int

        def __post_init__(self) -> None:
            raise TypeError("not like this")

    assert problems({"x": 1}, Wrong).splitlines()[1:] == ["  Wrong: not like this"]


def test_a_struct_is_a_schema(snapshot: SnapshotAssertion) -> None:
    """With msgspec's limits (`Meta`), and its `__post_init__`."""
    msgspec: Any = pytest.importorskip("msgspec")
    struct = msgspec.defstruct
    inner: Any = struct("Inner", [("width", Annotated[int, msgspec.Meta(gt=0)])])
    schema = struct(
        "Settings",
        [
            ("lr", Annotated[float, msgspec.Meta(gt=0)]),
            ("inner", list[inner], msgspec.field(default_factory=list)),
            ("algorithm", Algorithm, Algorithm.ADAM),
            ("data", Path, Path("data")),
            ("best", inner | None, msgspec.field(default_factory=lambda: inner(3))),
        ],
    )
    assert checked({"inner": [{"width": 1}], "lr": 1, "algorithm": "sgd"}, schema) == {
        "inner": [{"width": 1}],
        "lr": 1,
        "algorithm": Algorithm.SGD,
        "data": Path("data"),
        "best": {"width": 3},
    }
    told = [
        problems({"lrr": 1, "inner": [{"width": "1"}], "algorithm": 3}, schema),
        problems({"lr": 1, "inner": [{"width": 0}]}, schema),
        problems({"lr": -1}, schema),
        problems({"lr": 1, "algorithm": "adm"}, schema),
        problems({"lr": 1, "data": 3}, schema),
        problems({"lr": 1, "best": {"width": 1, "wdth": 2}}, schema),
    ]
    assert "\n".join(told) == snapshot


def test_a_pydantic_model_is_a_schema(snapshot: SnapshotAssertion) -> None:
    """Strictly, with its own validators, and with unknown names told, which it would pass over."""
    pydantic: Any = pytest.importorskip("pydantic")

    def not_seven(value: int) -> int:
        if value == 7:
            raise ValueError("seven is taken")
        return value

    inner: Any = pydantic.create_model("Inner", width=(Annotated[int, pydantic.Field(gt=0)], ...))
    schema = pydantic.create_model(
        "Settings",
        lr=(float, ...),
        n=(Annotated[int, pydantic.AfterValidator(not_seven)], 3),
        inner=(list[inner], []),
        by_name=(dict[str, inner], {}),
        best=(inner | None, None),
        algorithm=(Algorithm, Algorithm.ADAM),
        data=(Path, Path("data")),
        either=(int | str | None, None),
        betas=(tuple[float, float], (0.9, 0.999)),
        kind=(Literal["a", "b"], "a"),
        augment=(bool, False),
    )
    filled = checked({"n": 4, "lr": 1, "algorithm": "sgd", "betas": [1, 2]}, schema)
    assert list(filled.items())[:4] == [
        ("n", 4), ("lr", 1), ("algorithm", Algorithm.SGD), ("betas", (1, 2)),
    ]  # fmt: skip
    assert [type(filled["lr"]), type(filled["betas"][0]), filled["data"]] == [
        int,
        int,
        Path("data"),
    ]
    bad = {
        "lrr": 1, "n": 7, "inner": [{"width": 0}, {"widht": 3}], "by_name": {"x": {"wdth": 1}},
        "best": {"width": 1, "wdth": 2}, "algorithm": "x", "data": 3, "either": 1.5, "betas": [1],
        "kind": "c", "augment": 1,
    }  # fmt: skip
    told = [
        problems(bad, schema),
        problems({"lr": "1", "n": 7.0, "best": 3, "augment": "true"}, schema),
        problems({"part": {"lr": None}}, make(part=schema)),
    ]
    assert "\n".join(told) == snapshot


def test_a_model_may_allow_unknown_keys() -> None:
    """`extra="allow"` of a pydantic model is respected, also inside a dataclass."""
    pydantic: Any = pytest.importorskip("pydantic")
    config = pydantic.ConfigDict(extra="allow")
    open_model = pydantic.create_model("Open", __config__=config, lr=(float, 0.1))
    assert checked({"lr": 1, "other": [2]}, open_model) == {"lr": 1, "other": [2]}
    schema = make(part=open_model, n=int)
    assert checked({"part": {"x": 1}, "n": 2}, schema) == {"part": {"x": 1, "lr": 0.1}, "n": 2}
    assert "m: Settings has no such key" in problems({"part": {"x": 1}, "n": 2, "m": 3}, schema)


# -- Params ----------------------------------------------------------------------------------------


def test_params_take_a_schema(tmp_path: Path) -> None:
    """Typed, with defaults, and saved as JSON has it."""
    file = tmp_path / "params.json"
    file.write_text(json.dumps(GOOD))
    params = Params(file, schema=Hyperparameters)
    assert params.learning_rate == 0.1
    assert params.optimizer.algorithm is Algorithm.ADAM
    assert params.data / "x" == Path("data/x")
    params.save(tmp_path / "all.json")
    again = Params(tmp_path / "all.json", schema=Hyperparameters)
    assert again == params
    file.write_text('{"batch_size": 32, "learing_rate": 1}')
    with pytest.raises(ParamsError, match="did you mean 'learning_rate'"):
        Params(file, schema=Hyperparameters)
