"""Params: attributes, items, parts, files, and which names a script has read."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os
import pickle
import re
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import modeldir
from modeldir import Params, ParamsWarning
from modeldir.errors import MissingParam, ModeldirError, ParamsError
from modeldir.params import params
from modeldir.params.params import report_reads, source
from modeldir.params.plain_values import canonical_hash, flatten
from modeldir.params.update_checks import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from syrupy.assertion import SnapshotAssertion

BASE = {
    "learning_rate": 0.001,
    "batch_size": 32,
    "betas": [0.9, 0.999],
    "model": {"name": "resnet", "num_layers": 3, "head": {"dropout": 0.5}},
}
EVERYTHING = {
    "learning_rate", "batch_size", "betas", "model", "model.name", "model.num_layers",
    "model.head", "model.head.dropout",
}  # fmt: skip


def names_read(params: Params) -> set[str]:
    return {*params.__modeldir__.tree.reads.names}


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
NAMES = st.sampled_from(["a", "b", "c", "lr", "save", "items", "dict", "__class__", "ü", "x y"])
TREES = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda part: st.dictionaries(NAMES, part | SCALARS | st.lists(SCALARS, max_size=2), max_size=4),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths keep the messages the same on every machine."""
    monkeypatch.chdir(tmp_path)
    Path("params.json").write_text(json.dumps(BASE, indent=4) + "\n")


def base() -> Params:
    return Params("params.json")


# -- Reading ---------------------------------------------------------------------------------------


def test_values_are_read_by_attribute_item_and_dotted_name() -> None:
    """Three ways to the same value, at every depth."""
    p = base()
    assert p.learning_rate == p["learning_rate"] == 0.001
    assert p.model.head.dropout == p["model.head.dropout"] == p["model"]["head.dropout"] == 0.5
    assert p.betas == [0.9, 0.999]
    assert p.get("model.num_layers") == 3
    assert p.get("model.width", 64) == 64


def test_a_nested_part_is_one_view_of_the_same_data() -> None:
    """What is changed in the part is changed in the whole, and the other way round."""
    p = base()
    model = p.model
    assert p.model is p["model"] is model
    model.num_layers = 5
    assert p["model.num_layers"] == 5
    p["model.head.dropout"] = 0.1
    assert model.head.dropout == 0.1
    p.update(model={"num_layers": 7})
    assert model.num_layers == 7


def test_a_part_that_was_replaced_is_no_longer_shared() -> None:
    """The old view keeps the old values; the name leads to the new ones."""
    p = base()
    old = p.model
    p.model = {"num_layers": 9}
    assert (p.model.num_layers, old.num_layers) == (9, 3)
    assert "name" not in p.model


def test_later_reads_do_not_ask_params_again() -> None:
    """After the first read the value is an ordinary attribute; after a change it is the new one."""
    asked = []

    class Watched(Params):
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattr__(name)

    p = Watched(BASE)
    assert [p.batch_size, p.batch_size, p.batch_size] == [32, 32, 32]
    assert asked == ["batch_size"]
    p["batch_size"] = 64
    assert [p.batch_size, p.batch_size] == [64, 64]
    assert asked == ["batch_size", "batch_size"]


@pytest.mark.parametrize(
    "name",
    ["save", "update", "dict", "keys", "items", "get", "values", "__class__", "__modeldir__"],
)
def test_names_of_methods_are_reached_by_item(name: str) -> None:
    """The method stays a method, the hyperparameter is saved with the rest."""
    p = Params({name: 1, "lr": 0.1})
    assert p[name] == 1
    p[name] = 2
    p[f"part.{name}"] = 3
    p.lr  # noqa: B018 - to read it is the point
    p.save("out.json")
    assert json.loads(Path("out.json").read_text()) == {name: 2, "lr": 0.1, "part": {name: 3}}
    assert p.part[name] == 3
    assert type(p) is Params
    with pytest.raises(ParamsError, match="is an attribute of Params itself: use params"):
        setattr(p, name, 4)
    assert p[name] == 2


@pytest.mark.parametrize(
    "name",
    ["self", "class", "other", "path", "a.b", "", "\u03b1", "ü", "x" * 10_000, "mro", "__proto__"],
)
def test_odd_names_are_names(name: str) -> None:
    """Whatever JSON can name can be read, updated, saved and read again."""
    p = Params({name: 1})
    p.update({name: 2})
    p.update(**{name: 3})
    assert p[name] == 3
    assert getattr(p, name) == 3
    p.save("out.json")
    assert json.loads(Path("out.json").read_text()) == {name: 3}


def test_a_missing_name_names_the_file_and_the_nearest(snapshot: SnapshotAssertion) -> None:
    """By attribute, item and in parts; caught as AttributeError and as KeyError."""
    p = base()
    messages = []
    for get in (
        lambda: p.learning_rte,
        lambda: p["batchsize"],
        lambda: p.num_layers,
        lambda: p.model.head.dropuot,
        lambda: p["model.nme"],
        lambda: p["betas.x"],
        lambda: Params({}).anything,
    ):
        messages.append(missing(get, AttributeError))
        assert missing(get, KeyError) == messages[-1]
        assert missing(get, MissingParam) == messages[-1]
    assert "\n".join(messages) == snapshot


def missing(get: Callable[[], object], kind: type[Exception]) -> str:
    with pytest.raises(kind) as caught:
        get()
    assert isinstance(caught.value, ModeldirError)
    return str(pickle.loads(pickle.dumps(caught.value)))


def test_a_default_stands_in_for_a_missing_name() -> None:
    """`getattr` and `hasattr` work as they do for any object."""
    p = base()
    assert getattr(p, "dropout", 0.5) == 0.5
    assert not hasattr(p, "dropout")
    assert not hasattr(p, "__array__")


# -- Which names were read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "names"),
    [
        (lambda p: p.learning_rate, {"learning_rate"}),
        (lambda p: p["batch_size"], {"batch_size"}),
        (lambda p: p.get("batch_size"), {"batch_size"}),
        (lambda p: p.model.head, {"model", "model.head"}),
        (lambda p: p["model.num_layers"], {"model", "model.num_layers"}),
        (lambda p: getattr(p, "dropout", 0), {"dropout"}),
        (lambda p: p.get("model.width"), {"model", "model.width"}),
        (lambda p: hasattr(p, "_repr_html_"), set()),
        (lambda p: "batch_size" in p, set()),
        (len, set()),
        (repr, set()),
        (dir, set()),
        (flatten, set()),
        (canonical_hash, set()),
        (lambda p: p.save("out.json"), set()),
        (lambda p: p.update(batch_size=3), set()),
        (copy.copy, set()),
        (copy.deepcopy, set()),
        (lambda p: copy.deepcopy(p).batch_size, {"batch_size"}),
        (lambda p: p.dict, EVERYTHING),
        (vars, EVERYTHING),
        (list, EVERYTHING),
        (lambda p: {**p}, EVERYTHING),
        (lambda p: list(p.items()), EVERYTHING),
        (lambda p: list(p.values()), EVERYTHING),
        (lambda p: p == {}, EVERYTHING),
        (pickle.dumps, EVERYTHING),
        (Params, EVERYTHING),
        (lambda p: Params({}).update(p), EVERYTHING),
        (lambda p: p.model.head.dict, {"model", "model.head", "model.head.dropout"}),
    ],
)
def test_what_counts_as_read(read: Callable[[Params], object], names: set[str]) -> None:
    """Exactly the names that the script has looked at; all of them where nobody can tell."""
    p = base()
    read(p)
    assert names_read(p) == names
    assert names_read(p.model) == names | {"model"}


def test_what_the_script_sets_is_not_read_from_the_file() -> None:
    """A search over a name that the script overrides would compare nothing."""
    p = base()
    p.batch_size = 2
    p.cuda = True
    assert (p.batch_size, p.cuda) == (2, True)
    assert names_read(p) == set()


def test_what_the_script_adds_is_not_read_from_the_file() -> None:
    """A vocabulary of a million words must not become a million names."""
    p = base()
    p.words = {"the": 0, "of": 1}
    assert (p.words.the, p["words"]["of"], p["words.the"]) == (0, 1, 0)
    assert list(p.words) == ["the", "of"]
    list(p)
    assert names_read(p) == EVERYTHING


def test_the_source_is_the_absolute_path(tmp_path: Path) -> None:
    """Also that of a copy and of a part; None for a mapping."""
    p = base()
    assert source(p) == source(p.model) == source(copy.copy(p)) == tmp_path / "params.json"
    assert source(Params(BASE)) is None


def test_reads_are_reported_to_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line in the run's events, again only with something new."""
    monkeypatch.setenv("MODELDIR_RUN", f"token:{tmp_path}")
    monkeypatch.delenv("MODELDIR_ATTEMPT", raising=False)
    p = base()
    p.batch_size  # noqa: B018 - to read it is the point
    report_reads(p)
    report_reads(p.model)
    report_reads(Params(BASE))
    lines = [json.loads(line) for line in Path("events.jsonl").read_text().splitlines()]
    told = [line for line in lines if line["event"] == "params_read"]
    assert [(line["attempt"], line["names"]) for line in told] == [
        (1, ["batch_size"]),
        (1, ["batch_size", "model"]),
    ]


# -- Changing --------------------------------------------------------------------------------------


def test_names_may_be_added_at_run_time() -> None:
    """As CS230's scripts do: any object, tensors included, comes back as it is."""
    p = base()
    tensor = np.zeros(3)
    p.cuda = True
    p.embedding = tensor
    p.words = {0: "the"}
    p.model.extra = [1]
    assert p.cuda is True
    assert p.embedding is p["embedding"] is tensor
    assert p.words == {0: "the"}
    assert p["model.extra"] == [1]
    del p.cuda
    del p["model.extra"]
    assert "cuda" not in p
    assert "model.extra" not in p
    with pytest.raises(MissingParam):
        del p.cuda


def test_update_takes_a_file_a_mapping_and_names() -> None:
    """Parts are merged, lists and values replaced, names added in order; keywords come last."""
    Path("other.yaml").write_text("batch_size: 8\nmodel: {head: {dropout: 0.1}}\nvocab: 100\n")
    p = base()
    assert p.batch_size == 32
    p.update("other.yaml", batch_size=16)
    p.update({"betas": [0.5], "model.head.bias": True, "optimizer.momentum": 0.9}, seed=1)
    p.update(Params({"model": {"name": "vgg"}}))
    p.update(MappingProxyType({"x": OrderedDict(y=1)}), self=2, other=3)
    p.update()
    assert json.dumps(p.dict) == json.dumps({
        "learning_rate": 0.001,
        "batch_size": 16,
        "betas": [0.5],
        "model": {"name": "vgg", "num_layers": 3, "head": {"dropout": 0.1, "bias": True}},
        "vocab": 100,
        "optimizer": {"momentum": 0.9},
        "seed": 1,
        "x": {"y": 1},
        "self": 2,
        "other": 3,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("other", "names", "problem"),
    [
        ({"batch_size": 1, "betas.x": 2}, {}, "'betas' is .*: it cannot hold 'x'"),
        ({"batch_size": 1}, {"betas.x": 2}, "it cannot hold"),
        ({"batch_size": 1, 3: 4}, {}, "expected a string as the key, found 3"),
        ("parms.json", {"batch_size": 1}, "parms.json: no such file"),
    ],
)
def test_an_update_happens_as_a_whole_or_not_at_all(
    other: Any, names: dict[str, Any], problem: str
) -> None:
    """A mistake in the last name leaves the first as it was."""
    p = base()
    with pytest.raises(ParamsError, match=problem):
        p.update(other, **names)
    assert p == BASE


def test_params_of_a_mapping_have_parts_of_their_own() -> None:
    """What a script changes does not reach the mapping it came from."""
    given_values = copy.deepcopy(BASE)
    p = Params(given_values)
    p.model.num_layers = 9
    assert given_values == BASE


def test_the_dict_is_live_both_ways() -> None:
    """As in the original: what is changed in the dict is read in Params, at every depth."""
    p = base()
    assert (p.batch_size, p.model.num_layers) == (32, 3)
    head = p.model.head
    plain = p.dict
    assert type(plain["model"]) is dict
    plain["batch_size"] = 64
    plain["model"]["head"]["dropout"] = 0.9
    assert (p.batch_size, head.dropout, p.model.head.dropout) == (64, 0.9, 0.9)
    plain["batch_size"], plain["new"], plain["model"] = 128, {"x": 1}, {"num_layers": 5}
    assert (p.batch_size, p.new.x, p.model.num_layers) == (128, 1, 5)
    p.model.num_layers, p.lr = 6, 1
    assert (plain["model"]["num_layers"], plain["lr"]) == (6, 1)
    assert vars(p) is p.dict is plain


def test_an_update_must_fit(snapshot: SnapshotAssertion) -> None:
    """All that does not is told, with the file it came from; nothing is changed then."""
    Path("other.yaml").write_text("batch_size: 32.5\nmodel: {num_layers: '3'}\nvocab: 100\n")
    p = base()
    with pytest.raises(ParamsError) as caught:
        p.update("other.yaml", learning_rate="0.1", model=3)
    assert str(caught.value) == snapshot
    assert caught.value.key == "batch_size"
    assert p == BASE
    with pytest.raises(ParamsError) as caught:
        p.model.update(num_layers=True)
    assert str(caught.value) == snapshot


def test_an_update_reaches_the_views_and_keeps_the_data() -> None:
    """The parts that somebody holds, the live dict, and the plain types."""
    p = base()
    head, plain = p.model.head, p.dict
    p.update({"model.head.dropout": np.float32(0.25), "learning_rate": 1, "betas": (0.5, 0.9)})
    assert (head.dropout, plain["model"]["head"]["dropout"]) == (0.25, 0.25)
    assert plain is p.dict
    assert json.dumps(plain) == json.dumps(
        {
            **BASE,
            "learning_rate": 1,
            "betas": [0.5, 0.9],
            "model": {"name": "resnet", "num_layers": 3, "head": {"dropout": 0.25}},
        }
    )


def test_assigning_is_free() -> None:
    """The running script knows what it does; only a command line or a file can be mistaken."""
    p = base()
    p.learning_rate, p["batch_size"], p.model = "fast", 2.5, None
    assert (p.learning_rate, p.batch_size, p.model) == ("fast", 2.5, None)
    p.update(model={"any": "thing"})
    assert p.model.any == "thing"


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda p: setattr(p, "learning_rte", 1), "'learning_rte' .* did you mean 'learning_rate'"),
        (lambda p: p.__setitem__("batchsize", 1), "'batchsize' .* did you mean 'batch_size'"),
        (lambda p: setattr(p.model, "num_layer", 1), "'model.num_layer' .* 'model.num_layers'"),
        (lambda p: p.__setitem__("model.num_layer", 1), "'model.num_layer' .* 'model.num_layers'"),
        (lambda p: p.__setitem__("modle.name", 1), "'modle' .* 'model'"),
        (lambda p: p.update(learning_rte=1), "'learning_rte' .* 'learning_rate'"),
        (lambda p: p.update({"model": {"nmae": 1}}), "'model.nmae' .* 'model.name'"),
    ],
)
def test_a_new_name_that_is_nearly_an_old_one_is_warned_of(
    write: Callable[[Params], object], said: str
) -> None:
    """In the line of the script that writes it; the write happens."""
    p = base()
    with pytest.warns(ParamsWarning, match=f"^params.json: {said}") as caught:
        write(p)
    assert [warning.filename for warning in caught] == [__file__]
    assert p != BASE


def test_a_warning_that_is_an_error_changes_nothing() -> None:
    """`-W error`: the name is not there afterwards, so that no half of it is either."""
    p = base()
    writes: list[Callable[[], object]] = [
        lambda: setattr(p, "learning_rte", 1),
        lambda: p.update(seed=1, batchsize=2),
    ]
    for write in writes:
        with pytest.raises(ParamsWarning):
            write()
    assert p == BASE


def test_what_goes_too_deep_is_an_error() -> None:
    """As a mapping, a value, a name; also what contains itself. Nothing is changed."""
    deep: dict[str, Any] = {}
    endless: dict[str, Any] = {}
    inner, endless["a"] = deep, endless
    for _ in range(100_000):
        inner["a"] = inner = {}
    p = base()
    for values in (deep, endless):
        for change in (
            lambda values=values: Params(values),
            lambda values=values: p.update(values),
            lambda values=values: p.update(x=values),
            lambda values=values: setattr(p, "x", values),
            lambda values=values: p.__setitem__("model.x", values),
        ):
            with pytest.raises(ParamsError, match="more than 100 sections inside each other"):
                change()
    with pytest.raises(ParamsError, match="more than 100 sections inside each other"):
        p["a." * 100_000 + "a"] = 1
    assert "a." * 100_000 + "a" not in p
    with pytest.raises(MissingParam):
        p["model." * 100_000]
    assert p == BASE
    while deep:  # or the interpreter takes it apart by recursion
        deep = deep.pop("a")


class LikeADict(RuleBasedStateMachine):
    """Whatever is done, in whatever order, `Params` says what a plain nested dict would say."""

    @initialize(values=TREES)
    def start(self, values: dict[str, Any]) -> None:
        self.model = copy.deepcopy(values)
        self.params = Params(values)
        self.plain: dict[str, Any] | None = None

    @rule(name=NAMES, value=SCALARS | TREES)
    def set_item(self, name: str, value: Any) -> None:
        self.params[name] = value
        self.model[name] = copy.deepcopy(value)

    @rule(name=NAMES, value=SCALARS | TREES)
    def set_attribute(self, name: str, value: Any) -> None:
        if not hasattr(Params, name):
            setattr(self.params, name, value)
            self.model[name] = copy.deepcopy(value)

    @rule(name=NAMES, inner=NAMES, value=SCALARS | TREES)
    def set_in_part(self, name: str, inner: str, value: Any) -> None:
        if isinstance(self.model.get(name), dict):
            self.params[f"{name}.{inner}"] = value
            self.model[name][inner] = copy.deepcopy(value)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.model:
            del self.params[name]
            del self.model[name]

    @rule(new=TREES)
    def update(self, new: dict[str, Any]) -> None:
        """All of it or, where one value cannot take another's place, nothing."""
        fit = Fit(self.model, "", self.params.__modeldir__.tree.added)
        fit.take(new)
        if fit.problems:
            with pytest.raises(ParamsError, match="Nothing was changed"):
                self.params.update(new)
        else:
            self.params.update(new)
            merged(self.model, new)

    @rule(name=NAMES, value=SCALARS | TREES)
    def set_in_plain_dict(self, name: str, value: Any) -> None:
        """Through one dict, asked for once: asking again would empty the cache by the way."""
        if self.plain is None:
            self.plain = self.params.dict
        self.plain[name] = copy.deepcopy(value)
        self.model[name] = copy.deepcopy(value)

    @rule(name=NAMES, inner=NAMES)
    def read_before(self, name: str, inner: str) -> None:
        """Fills the cache, so that what comes next must empty it."""
        if isinstance(self.model.get(name), dict):
            self.params[name].get(inner)
            getattr(self.params[name], inner, None)
        getattr(self.params, name, None)

    @invariant()
    def says_the_same(self) -> None:
        if hasattr(self, "model"):
            same(self.params, self.model)


def same(p: Params, model: dict[str, Any]) -> None:
    """Attribute and item, without calling the live dict into being."""
    assert len(p) == len(model)
    for name, value in model.items():
        found = (
            [p[name]] if hasattr(Params, name) else [p[name], getattr(p, name), getattr(p, name)]
        )
        for one in found:
            if isinstance(value, dict):
                same(one, value)
            else:
                assert (type(one), one) == (type(value), value)


def merged(into: dict[str, Any], new: dict[str, Any]) -> None:
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            merged(into[name], value)
        else:
            into[name] = copy.deepcopy(value)


TestLikeADict = LikeADict.TestCase
TestLikeADict.settings = settings(deadline=None, stateful_step_count=20)


# -- Saving ----------------------------------------------------------------------------------------


def test_load_and_save_changes_no_byte() -> None:
    """Order, number forms and letters stay; so does a file that a person has written."""
    text = (
        '{\n    "lr": 1e-3,\n    "b": 1.0,\n'
        '    "ü": [\n        2.50,\n        null\n    ],\n    "m": {}\n}\n'
    )
    Path("mine.json").write_text(text, encoding="utf-8")
    Params("mine.json").save("again.json")
    assert Path("again.json").read_text(encoding="utf-8") == text


def test_saved_values_are_what_was_set(snapshot: SnapshotAssertion) -> None:
    """A form is kept for the number it was read with, not for the name."""
    Path("mine.json").write_text('{"lr": 1e-3, "decay": 1e-4}')
    p = Params("mine.json")
    p.lr = 0.002
    p.update({"beta": np.float64(0.9), "path": Path("data"), "sizes": (1, 2)})
    p.save("again.json")
    assert Path("again.json").read_text() == snapshot


def test_what_has_no_form_is_refused_before_the_file_is_touched(
    snapshot: SnapshotAssertion,
) -> None:
    """The message names every such value, and that nothing was written."""
    p = base()
    p.learning_rate = float("nan")
    p.update({"model": {"weights": np.zeros(2)}})
    before = Path("params.json").read_bytes()
    with pytest.raises(ParamsError) as caught:
        p.save("params.json")
    assert str(caught.value) == snapshot
    assert (caught.value.path, caught.value.key) == ("params.json", "learning_rate")
    assert Path("params.json").read_bytes() == before


def test_what_the_script_added_is_left_out_with_a_warning(snapshot: SnapshotAssertion) -> None:
    """A device or a tensor must not keep the hyperparameters from being saved."""
    p = base()
    p.device, p.cuda, p.words, p.best = object(), True, {0: "the"}, float("-inf")
    p.model.weights = np.zeros(2)
    with pytest.warns(UserWarning, match="saved without") as caught:
        p.save("again.json")
    assert str(caught[0].message) == snapshot
    assert caught[0].filename == __file__
    assert json.loads(Path("again.json").read_text()) == {**BASE, "cuda": True}


def test_a_part_can_be_saved_alone() -> None:
    """It is a `Params` too."""
    base().model.save("model.json")
    assert json.loads(Path("model.json").read_text()) == BASE["model"]


def test_a_link_is_replaced() -> None:
    """The file behind it stays as it is: it may belong to something else."""
    Path("link.json").symlink_to("params.json")
    p = Params("link.json")
    p.batch_size = 1
    p.save("link.json")
    assert not Path("link.json").is_symlink()
    assert Params("link.json").batch_size == 1
    assert base().batch_size != 1


def test_comments_are_not_lost() -> None:
    """Kept while the values are the same; else the file with them is left alone."""
    text = '{\n    // found by hand\n    "lr": 1e-3,  /* slow */\n    "betas": [0.9, 0.99],\n}\n'
    Path("p.jsonc").write_text(text)
    p = Params("p.jsonc")
    assert p == {"lr": 0.001, "betas": [0.9, 0.99]}
    p.save("p.jsonc")
    p.save("q.jsonc")
    assert Path("p.jsonc").read_text() == Path("q.jsonc").read_text() == text
    p.save("q.json")
    assert "//" not in Path("q.json").read_text()
    p.lr = 0.1
    with pytest.raises(ParamsError, match="the comments in it would be lost"):
        p.save("p.jsonc")
    assert Path("p.jsonc").read_text() == text
    p.save("new.jsonc")
    assert json.loads(Path("new.jsonc").read_text()) == {"lr": 0.1, "betas": [0.9, 0.99]}
    Params("new.jsonc").save("new.jsonc")


KEPT = {
    "p.yaml": "# by hand\nlr: 1e-3  # slow\nwhen: 2024-01-02\n\nbetas: [0.9, 0.99]\nn:\n- {a: 1}\n",
    "q.yml": "{lr: .5e3, quoted: 'a # b', text: \"#\"}",
    "p.toml": "# by hand\nlr = 1e-3 # slow\nbig = 1_000\n\n[model]\nwidths = [8,\n  16]\n",
    "dos.json": '{\r\n  "lr": 1e-3,\r\n  "n": [1, 2]\r\n}\r\n',
    "dos.yaml": "lr: 1e-3\r\nn: [1,\r\n  2]\r\n",
}


@pytest.mark.parametrize("name", KEPT)
def test_every_notation_stays_as_a_person_has_written_it(name: str) -> None:
    """Byte for byte while the values are the same; after a change its comments are still there."""
    text = KEPT[name]
    Path(name).write_bytes(text.encode())
    p = Params(name)
    p.save(name)
    p.save(f"other{Path(name).suffix}")
    assert (
        Path(name).read_bytes() == Path(f"other{Path(name).suffix}").read_bytes() == text.encode()
    )
    p.lr = 2.5
    p.save(name)
    assert Params(name) == p
    if "slow" in text:
        assert {"# by hand", "# slow"} <= {*re.findall("# .*", Path(name).read_text())}
    p.lr = 3
    p.save(name)
    p.save("values.json")
    assert Params("values.json") == Params(name) == p


COMMENTED = {
    "p.yaml": """# by hand
lr: 1e-3  # slow
# the model
model:
    width: 3  # small
    name: 'deep'
betas: [0.9, 0.99]
layers:
  - {a: 1}  # first
  - 2.50
# the end
last: .5e3
""",
    "p.toml": """# by hand
lr = 1e-3  # slow
# many
layers = [
  { a = 1 },  # first
  2.50,
]
# the model
[model]
width = 3  # small
name = 'deep'
""",
}


@pytest.mark.parametrize("name", COMMENTED)
def test_comments_survive_a_changed_value(name: str) -> None:
    """Also the form of untouched numbers, the quotes, and the comments in a list."""
    text = COMMENTED[name]
    Path(name).write_text(text)
    p = Params(name)
    p.model.width = 4
    p.layers = [{"a": 1}, 3]
    p.save(name)
    p.save(f"new{name}")
    changed = Path(name).read_text()
    expected = text.replace("width: 3", "width: 4").replace("width = 3", "width = 4")
    assert changed == expected.replace("2.50", "3") == Path(f"new{name}").read_text()
    p.update({"new": {"rates": [1, {"b": 2}]}})
    p.save(name)
    assert Params(name) == p
    assert re.findall("#.*", Path(name).read_text()) == re.findall("#.*", text)


def test_comments_of_a_file_that_is_replaced_survive_too() -> None:
    """Values that came from elsewhere are written into the commented file."""
    Path("p.toml").write_text("# by hand\nlr = 1e-3 # slow\nold = 1\n")
    Params({"lr": 0.5, "n": {"a": 1}}).save("p.toml")
    assert Path("p.toml").read_text() == "# by hand\nlr = 0.5 # slow\n\n[n]\na = 1\n"


def test_a_comment_that_cannot_be_kept_is_not_lost_in_silence() -> None:
    """In YAML, the comment below a removed key; in a broken file, every comment."""
    for text in ("a: 1\n# about b\nb: 2\n", "x: &one {a: 1}\ny: *one  # the same\n", "# [\n]"):
        Path("p.yaml").write_text(text)
        p = Params({"b": 2} if text.startswith("a") else {"x": {"a": 1}, "y": {"a": 2}})
        with pytest.raises(ParamsError, match="the comments in it would be lost"):
            p.save("p.yaml")
        assert Path("p.yaml").read_text() == text


def test_a_file_that_a_person_has_set_stays_as_it_is() -> None:
    """Lists on one line, its own spaces, no last line end: until a value changes."""
    text = '{ "betas": [0.9, 0.999],\n  "lr":1E-3, "n": {"a": 1.50} }'
    Path("mine.json").write_text(text)
    p = Params("mine.json")
    p.lr, p.n.a, p.cuda = 0.2, 3, True
    del p.cuda
    p.lr, p.n.a = 0.001, 1.5
    p.save("again.json")
    assert Path("again.json").read_text() == text
    pickle.loads(pickle.dumps(p)).save("pickled.json")
    copy.deepcopy(p).save("copied.json")
    assert Path("pickled.json").read_text() == Path("copied.json").read_text() == text
    p.n.save("n.json")
    assert json.loads(Path("n.json").read_text()) == {"a": 1.5}
    p.lr = 1
    p.save("again.json")
    assert Params("again.json") == {"betas": [0.9, 0.999], "lr": 1, "n": {"a": 1.5}}
    p.lr = 1.0
    p.save("again.json")
    assert '"lr": 1.0' in Path("again.json").read_text()


@given(TREES)
def test_saved_and_read_again_is_the_same(values: dict[str, Any]) -> None:
    """Values, types and order; and the second file is the first, byte for byte."""
    Params(values).save("one.json")
    again = Params("one.json")
    assert repr(again) == repr(Params(values))
    again.save("two.json")
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()


def test_the_mode_of_the_file_stays(tmp_path: Path) -> None:
    """Of a new one it is what the umask gives: a colleague can read it."""
    Path("params.json").chmod(0o640)
    base().save("params.json")
    assert Path("params.json").stat().st_mode & 0o777 == 0o640
    before = os.umask(0o027)
    try:
        base().save("new.json")
    finally:
        os.umask(before)
    assert Path("new.json").stat().st_mode & 0o777 == 0o640


FULL = """
import resource, sys
from modeldir import Params, ParamsWarning
params = Params("params.json")
params.words = ["word"] * 10_000
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    params.save("params.json")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_leaves_the_old_file() -> None:
    """And nothing beside it."""
    before, there = Path("params.json").read_bytes(), sorted(os.listdir())
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ParamsError params.json: cannot be written: File too large")
    assert Path("params.json").read_bytes() == before
    assert sorted(os.listdir()) == there


SAVING = """
import sys
from modeldir import Params, ParamsWarning
params = Params({"who": int(sys.argv[1]), "padding": ["x" * 50] * int(sys.argv[2])})
while True:
    params.save("shared.json")
    print(flush=True)
"""


def test_two_processes_that_save_never_make_half_a_file() -> None:
    """A reader always finds what one of them meant."""
    Path("shared.json").write_text('{"who": 0, "padding": []}')
    writers = [
        subprocess.Popen([sys.executable, "-c", SAVING, who, size], stdout=subprocess.PIPE)
        for who, size in (("1", "1000"), ("2", "10"))
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        seen = set()
        for _ in range(200):
            p = Params("shared.json")
            assert len(p.padding) == {1: 1000, 2: 10}[p.who]
            seen.add(p.who)
        for writer in writers:
            assert writer.stdout is not None
            assert all(writer.stdout.readline() for _ in range(5))
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert seen <= {1, 2}
    assert seen


KILLING = """
import json, os, random, signal, sys, time
from modeldir import Params, ParamsWarning

old, new = ({"who": who, "padding": ["x" * 99] * size} for who, size in (("old", 300), ("new", 9)))
Params(old).save("killed.json")
texts = set()
for values in (old, new):
    Params(values).save("one.json")
    texts.add(open("one.json", "rb").read())
began = time.monotonic()
for _ in range(20):
    Params(old).save("one.json")
one = (time.monotonic() - began) / 20  # how long a save takes on this machine, now
counts = {"old": 0, "new": 0, "left": 0}
for n in range(1000):
    pid = os.fork()
    if pid == 0:
        sides = [Params(old), Params(new)][:: 1 if n % 2 else -1]
        while True:
            for side in sides:
                side.save("killed.json")
    time.sleep(random.uniform(0, 4 * one))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    data = open("killed.json", "rb").read()
    if data not in texts:
        sys.exit(f"neither old nor new after kill {n}: {data[:100]!r} ({len(data)} bytes)")
    counts[json.loads(data)["who"]] += 1
    for name in os.listdir():
        if name.startswith(".tmp-"):
            counts["left"] += 1
            os.unlink(name)
print(json.dumps(counts))
"""


@pytest.mark.slow
def test_a_killed_save_leaves_the_old_or_the_new_file() -> None:
    """A thousand times, at moments of chance: kills did hit saves (they left temporary files)."""
    done = subprocess.run(
        [sys.executable, "-c", KILLING], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    counts = json.loads(done.stdout)
    assert counts["old"] + counts["new"] == 1000
    assert min(counts["old"], counts["new"], counts["left"]) > 20


# -- Locked ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda p: setattr(p, "batch_size", 1),
        lambda p: setattr(p, "new", 1),
        lambda p: p.__setitem__("batch_size", 1),
        lambda p: p.__setitem__("model.num_layers", 1),
        lambda p: setattr(p.model, "num_layers", 1),
        lambda p: setattr(p.model.head, "new", 1),
        lambda p: delattr(p, "batch_size"),
        lambda p: p.__delitem__("model.head.dropout"),
        lambda p: p.update(batch_size=1),
        lambda p: p.model.update(num_layers=1),
        lambda p: p.update(),
        lambda p: p.dict.__setitem__("batch_size", 1),
        lambda p: p.dict["model"].__setitem__("num_layers", 1),
        lambda p: p.__dict__.update(batch_size=1),
        lambda p: p.model.head.dict.clear(),
        lambda p: p.betas.append(1),
        lambda p: p["betas"].sort(),
        lambda p: p.model.layers[1].append(3),
        lambda p: p.get("betas").clear(),
        lambda p: next(iter(p.items()))[1] and p.dict["betas"].pop(),
    ],
)
def test_locked_hyperparameters_cannot_be_changed(change: Callable[[Params], object]) -> None:
    """By no way that leads through them, whatever was read before."""
    values: dict[str, Any] = copy.deepcopy(BASE)
    values["model"]["layers"] = [1, [2]]
    p = Params(copy.deepcopy(values))
    assert (p.betas, p.model.head.dropout, p.model.layers) == ([0.9, 0.999], 0.5, [1, [2]])
    modeldir.lock(p)
    with pytest.raises(ParamsError, match=r"locked[\s\S]*modeldir\.unlocked\(params\)"):
        change(p)
    assert p == values
    with modeldir.unlocked(p):
        p.batch_size, p.model.head.dropout = 1, 0.1
        p.betas.append(3)
        assert type(p.betas) is list
        assert type(p.dict) is dict
    assert (p.batch_size, p.model.head.dropout, p.betas[-1]) == (1, 0.1, 3)
    with pytest.raises(ParamsError, match="locked"):
        change(p)


def test_the_error_names_the_file_and_the_name(snapshot: SnapshotAssertion) -> None:
    """And how to go on."""
    p = base()
    modeldir.lock(p.model)  # a part locks the whole: they are one
    messages = []
    for change in (lambda: setattr(p, "lr", 1), lambda: p.model.head.update(dropout=1)):
        with pytest.raises(ParamsError) as caught:
            change()
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot


def test_locked_hyperparameters_are_read_and_saved_as_ever() -> None:
    """JSON, copies that are one's own, comparison, hash."""
    p = base()
    modeldir.lock(p)
    assert p == BASE
    assert json.dumps(p.dict) == json.dumps(BASE)
    assert canonical_hash(p) == canonical_hash(BASE) == canonical_hash(p.dict)
    assert flatten(p.dict) == flatten(BASE)
    assert Params(p.dict) == BASE
    p.save("again.json")
    assert json.loads(Path("again.json").read_text()) == BASE
    for mine in (copy.copy(p), copy.deepcopy(p), Params(p), Params(p.dict)):
        mine.batch_size = 1
        mine.model.num_layers = 1
        mine.betas.append(1)
        assert mine.model.num_layers == 1
    assert p == BASE
    again = pickle.loads(pickle.dumps(p))
    with pytest.raises(ParamsError, match=r"params\.json is locked"):
        again.batch_size = 1


def test_unlocked_ends_with_an_error_too() -> None:
    """And leaves alone what was not locked."""
    p = base()
    with modeldir.unlocked(p):
        p.batch_size = 1
    p.batch_size = 2
    modeldir.lock(p)
    with pytest.raises(KeyError), modeldir.unlocked(p):
        raise KeyError
    with pytest.raises(ParamsError, match="locked"):
        p.batch_size = 3


def test_hyperparameters_reach_a_spawned_process() -> None:
    """As a DataLoader's worker gets them where processes are not forked."""
    Path("worker.py").write_text(
        "import multiprocessing\nimport modeldir\n"
        "def work(params): return params.model.head.dropout, params['betas']\n"
        "if __name__ == '__main__':\n"
        "    params = modeldir.Params('params.json')\n"
        "    modeldir.lock(params)\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, [params]))\n"
    )
    done = subprocess.run([sys.executable, "worker.py"], capture_output=True, text=True, check=True)
    assert done.stdout == "[(0.5, [0.9, 0.999])]\n"


# -- With a schema ---------------------------------------------------------------------------------


@dataclasses.dataclass
class Head:
    dropout: float = 0.5


@dataclasses.dataclass
class Model:
    name: str
    num_layers: int
    head: Head = dataclasses.field(default_factory=Head)


@dataclasses.dataclass
class Hyperparameters(modeldir.Schema):
    learning_rate: float
    batch_size: int
    betas: list[float]
    model: Model
    seed: int = 230
    data: Path = Path("data")


def test_a_schema_fills_in_and_checks(snapshot: SnapshotAssertion) -> None:
    """Defaults are values like the others; what is wrong is told at once."""
    p = Params("params.json", schema=Hyperparameters)
    assert (p.seed, p.data, p.model.head.dropout) == (230, Path("data"), 0.5)
    p.update({"data": "elsewhere"})
    assert p.data == Path("elsewhere")
    p.save("again.json")
    assert json.loads(Path("again.json").read_text()) == {**BASE, "seed": 230, "data": "elsewhere"}
    mistaken = {**BASE, "learning_rate": "0.1", "batch_sze": 3}
    with pytest.raises(ParamsError) as caught:
        Params(mistaken, schema=Hyperparameters)
    assert str(caught.value) == snapshot


# -- As a value ------------------------------------------------------------------------------------


@given(TREES)
def test_params_is_a_mapping(values: dict[str, Any]) -> None:
    """Equal to the dict it was made of, and to whatever it was copied to."""
    p = Params(values)
    assert p == values
    assert values == p
    assert p == Params(values)
    assert list(p) == list(values)
    assert len(p) == len(values)
    assert {**p} == values
    for twin in (copy.copy(p), copy.deepcopy(p), pickle.loads(pickle.dumps(p)), Params(p)):
        assert twin == p
        assert type(twin) is Params
        twin["another"] = 1
        assert twin != p
    assert eval(repr(p)) == p


def test_params_is_not_equal_to_other_things() -> None:
    """And cannot be a key, since it can change."""
    assert base() != 3
    assert base() != {**BASE, "batch_size": 33}
    with pytest.raises(TypeError, match="unhashable"):
        hash(base())


def test_parts_are_passed_as_keywords() -> None:
    """`Net(**params.model)` is how a model is built."""
    assert dict(**base().model.head) == {"dropout": 0.5}
    assert dict(**base())["model"].name == "resnet"


def test_copies_share_nothing_that_changes() -> None:
    """A copy has parts of its own; a deep copy also its own lists; both know their file."""
    p = base()
    p.cuda = object()
    shallow, deep = copy.copy(p), copy.deepcopy(p)
    shallow.model.num_layers = deep.model.num_layers = 9
    deep.betas.append(1)
    assert (p.model.num_layers, len(p.betas)) == (3, 2)
    assert shallow.cuda is p.cuda
    with pytest.warns(UserWarning, match="saved without cuda"):
        deep.save("deep.json")
    assert "in params.json" in missing(lambda: deep.nothing, AttributeError)


def test_a_pickle_names_only_the_package() -> None:
    """Modules inside `modeldir.params` can be renamed, and pickles still load."""
    params.lock(p := base())
    for value in (p, p.model, p.dict, [p, p.model]):
        names = {*re.findall(rb"modeldir[\w.]*", pickle.dumps(value))}
        assert names <= {b"modeldir.params"}


def test_a_pickle_keeps_the_file_the_forms_and_what_was_added(tmp_path: Path) -> None:
    """A worker process gets the same hyperparameters, parts included."""
    Path("mine.json").write_text('{"lr": 1e-3, "model": {"depth": 2}}')
    p = Params("mine.json")
    p.when = np.datetime64("2024-01-02")
    again = pickle.loads(pickle.dumps(p))
    assert source(again) == tmp_path / "mine.json"
    with pytest.warns(UserWarning, match="saved without when"):
        again.save("again.json")
    assert "1e-3" in Path("again.json").read_text()
    assert pickle.loads(pickle.dumps(p.model)) == {"depth": 2}


def test_a_subclass_may_declare_its_names() -> None:
    """For completion in an editor; copies stay of that class."""

    class Hyperparameters(Params):
        batch_size: int

    p = Hyperparameters("params.json")
    assert p.batch_size == 32
    assert type(copy.copy(p)) is Hyperparameters


def test_completion_offers_the_names() -> None:
    """What a notebook shows after `params.`."""
    assert {"learning_rate", "model", "save"} <= set(dir(base()))


# -- Helpers ---------------------------------------------------------------------------------------


@given(TREES, st.randoms())
def test_the_hash_is_that_of_the_values(values: dict[str, Any], random: Any) -> None:
    """Order is no matter, nor is 1 or 1.0; a changed value is."""
    digest = canonical_hash(values)
    assert len(digest) == 16
    assert set(digest) <= set("0123456789abcdef")
    names = list(values)
    random.shuffle(names)
    assert canonical_hash({name: as_floats(values[name]) for name in names}) == digest
    assert canonical_hash(Params(values)) == digest
    assert canonical_hash({**values, "another": 1}) != digest


def as_floats(value: Any) -> Any:
    """Whole numbers as floats where that is exact."""
    if isinstance(value, dict):
        return {name: as_floats(part) for name, part in value.items()}
    if isinstance(value, list):
        return [as_floats(part) for part in value]
    exact = type(value) is int and abs(value) < 2**53
    return float(value) if exact else value


def test_the_hash_is_the_same_tomorrow() -> None:
    """It lies in trial files: another one would make every finished trial a new one."""
    assert canonical_hash({"lr": 1e-3, "n": 2.0, "m": {"ü": [True, None]}}) == "93835d5b6795e858"
    assert (
        canonical_hash({"lr": np.float64(0.001), "n": 2, "m": {"ü": (True, None)}})
        == "93835d5b6795e858"
    )


def test_the_hash_tells_apart_what_differs() -> None:
    """Numbers, truth values and texts are never each other; nor are close numbers."""
    values = [
        1,
        True,
        "1",
        None,
        "None",
        [1],
        {"a": 1},
        1.5,
        2**53,
        2**53 + 1,
        0,
        False,
        "",
        [],
        {},
    ]
    assert len({canonical_hash({"x": value}) for value in values}) == len(values)
    assert canonical_hash({"x": -0.0}) == canonical_hash({"x": 0})


def test_names_that_are_ignored_make_no_difference() -> None:
    """Dotted, parts with all that is in them; a name that is not there is no matter."""
    one = {"lr": 0.1, "num_workers": 4, "data": {"root": "/a", "split": 1}, "log": {"every": 5}}
    other = {"log": {}, "data": {"split": 1.0, "root": "/b"}, "lr": 1e-1}
    ignore = ["num_workers", "data.root", "log", "nothing"]
    assert canonical_hash(one, ignore) == canonical_hash(other, ignore)
    assert canonical_hash(one, ["num_workers"]) != canonical_hash(one)
    assert canonical_hash(one, ["root"]) == canonical_hash(one)
    assert canonical_hash(Params(one), ignore) == canonical_hash(one, ignore)


def test_the_hash_of_what_has_no_form_is_an_error() -> None:
    """NaN is not even equal to itself."""
    with pytest.raises(ParamsError, match=r"model\.clip: expected a finite number, found nan"):
        canonical_hash({"model": {"clip": float("nan")}})


def test_flatten_of_params_is_that_of_the_dict() -> None:
    """Dotted names; lists and empty parts are values."""
    expected = {"a": 1, "m.b": [{"c": 1}], "m.e": {}}
    assert flatten({"a": 1, "m": {"b": [{"c": 1}], "e": {}}}) == expected
    assert flatten(Params({"a": 1, "m": {"b": [{"c": 1}], "e": {}}})) == expected


# -- As courses write it ---------------------------------------------------------------------------

COURSE = {
    "learning_rate": 0.001, "batch_size": 32, "num_epochs": 10, "dropout_rate": 0.5,
    "save_summary_steps": 100, "num_workers": 4, "betas": [0.9, 0.99], "optimizer": {"lr": 1},
}  # fmt: skip


class Net:
    """A module that keeps its hyperparameters, as CS230's do."""

    def __init__(self, p: Params) -> None:
        self.params = p


@pytest.fixture
def course() -> Params:
    Path("params.json").write_text(json.dumps(COURSE, indent=4))
    return Params("params.json")


def test_a_script_of_cs230_works_without_a_warning(course: Params) -> None:
    """Warnings are errors here: each of these lines stands in many a student's train.py."""
    course.cuda = False
    Path("dataset_params.json").write_text('{"train_size": 37000, "vocab_size": 9, "pad_tag": "O"}')
    course.update("dataset_params.json")
    course.train_size = course.eval_size = len(course.betas)
    for course.epoch in range(2):
        course.learning_rate *= 0.1
        course.step = course.epoch * course.train_size
    course.id_pad_word, course.model, course.loss_fn = np.zeros(2), Net(course), lambda x: x
    course.metrics = {"accuracy": course.loss_fn}
    course.restore_from = None
    course.dict["batch_size"] = 64
    setattr(course, "dropout_rate", np.float32(0.25))  # noqa: B010 - as such a loop writes it
    assert [getattr(course, "nothing", 3), hasattr(course, "nothing"), course.batch_size] == [
        3, False, 64,
    ]  # fmt: skip
    assert course.learning_rate == course.dict["learning_rate"] == pytest.approx(1e-5)
    assert course.metrics.accuracy is course.loss_fn
    assert {"train_size", "vocab_size", "cuda", "epoch"} <= {*vars(course)} == {*course.dict}
    assert course.model.params is course
    with pytest.warns(ParamsWarning, match="without id_pad_word, model, loss_fn, metrics"):
        course.save("used.json")
    assert json.loads(Path("used.json").read_text())["dropout_rate"] == 0.25


def test_params_and_argparse_get_on(course: Params) -> None:
    """A Namespace's values are taken by `vars`; its parser may fill a Params, and take defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--data_dir", default="data")
    course.update(vars(argparse.Namespace(batch_size=64, cuda=True)))
    assert argparse.Namespace(**course.dict).batch_size == 64
    parser.parse_args(["--learning_rate", "0.5"], namespace=course)
    assert (course.learning_rate, course.data_dir) == (0.5, "data")
    parser.set_defaults(**course.dict)
    assert parser.parse_args([]).num_epochs == 10


@pytest.mark.parametrize("wrong", [3, None, ["a"], argparse.Namespace(lr=1), {1}, 0.5])
def test_what_is_neither_file_nor_mapping_is_said(wrong: Any, course: Params) -> None:
    """By our error and with a way on, not by one of `os`."""
    with pytest.raises(ParamsError, match="expected the path of a file, or a mapping; found a"):
        Params(wrong)
    if wrong is not None:
        with pytest.raises(ParamsError, match=f"found a {type(wrong).__name__}"):
            course.update(wrong)
    with pytest.raises(ParamsError, match="expected the path of a file; found a"):
        course.save(wrong)
    if isinstance(wrong, argparse.Namespace):
        with pytest.raises(
            ParamsError, match=r"to use the attributes of an object: vars\(object\)"
        ):
            course.update(wrong)
    assert course == COURSE


def test_dataset_params_of_other_types_are_an_error(
    course: Params, snapshot: SnapshotAssertion
) -> None:
    """All of them at once, each with what to write; nothing is changed."""
    other = {
        "learning_rate": "1e-3", "batch_size": 64.0, "num_epochs": True, "betas": 0.9,
        "dropout_rate": None, "optimizer": "sgd", "num_workers": "four", "train_size": "any",
    }  # fmt: skip
    Path("dataset_params.json").write_text(json.dumps(other))
    with pytest.raises(ParamsError) as caught:
        course.update("dataset_params.json")
    assert str(caught.value) == snapshot
    assert course == COURSE
    course.update({"betas": [0.5], "optimizer": {"lr": 1.5}, "dropout_rate": None})
    assert (course.betas, course.optimizer.lr, course.dropout_rate) == ([0.5], 1.5, None)


def test_a_vocabulary_costs_a_missing_name_nothing(course: Params) -> None:
    """`hasattr` in a loop must not walk through a million words; the near name is still found."""
    course.update({"words": {f"word{number}": number for number in range(50_000)}, "last": 1})
    with pytest.raises(MissingParam, match="did you mean 'last'") as caught:
        course.lasst  # noqa: B018 - to read it is the test
    assert len(caught.value.args[0].known) < 5_000
    assert course.words.word49999 == 49999
