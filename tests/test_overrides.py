"""What fits in an old value's place, what is said if it does not, and which names are misspelt."""

from __future__ import annotations

import copy
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.nested import copied, merge
from modeldir.overrides import Fit, misfit, nearest

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

BASE: dict[str, Any] = {
    "learning_rate": 0.1,
    "batch_size": 32,
    "zero": 0,
    "one": 1,
    "clip": None,
    "augment": True,
    "model_version": "v1",
    "betas": [0.9, 0.999],
    "optimizer": {"name": "adam", "momentum": 0.9, "inner": {"eps": 1e-8}},
    "vocabulary": {0: "the"},
}
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
)
NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c.a", "", "x y"])
TREES = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda part: st.dictionaries(NAMES, part | SCALARS | st.lists(SCALARS, max_size=2), max_size=4),
    max_leaves=8,
)


class Optimizer(enum.Enum):
    ADAM = "adam"
    SGD = "sgd"


def tried(new: dict[str, Any], data: dict[str, Any] | None = None, *free: str) -> Fit:
    fit = Fit(BASE if data is None else data, "", free)
    fit.take(new)
    return fit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 1),
        ("learning_rate", 1e-3),
        ("learning_rate", None),
        ("batch_size", 64),
        ("batch_size", None),
        ("zero", 0.5),
        ("one", 2.5),
        ("one", 7),
        ("clip", 0.5),
        ("clip", "a"),
        ("clip", {"x": 1}),
        ("clip", [1]),
        ("augment", False),
        ("model_version", ""),
        ("betas", []),
        ("betas", ["a", {"b": 1}]),
        ("optimizer", None),
        ("optimizer", {"name": "sgd"}),
        ("optimizer", {}),
        ("optimizer.inner.eps", 1),
        ("vocabulary", 3),
        ("new", object()),
    ],
)
def test_what_fits_is_taken(name: str, value: Any) -> None:
    """Also into nested parts, and over null and what is no hyperparameter at all."""
    fit = tried({name: value})
    expected = copied(BASE)
    merge(expected, {name: value})
    assert fit.problems == []
    assert fit.data == expected


@pytest.mark.parametrize(
    ("name", "given_value", "kept"),
    [
        ("learning_rate", np.float32(0.5), 0.5),
        ("batch_size", np.int64(8), 8),
        ("augment", np.bool_(False), False),
        ("model_version", Path("data/x"), "data/x"),
        ("model_version", Optimizer.SGD, "sgd"),
        ("betas", (0.5, np.float64(0.9)), [0.5, 0.9]),
        ("learning_rate", np.array(0.25), 0.25),
    ],
    ids=repr,
)
def test_values_of_libraries_are_converted(name: str, given_value: Any, kept: Any) -> None:
    """To the plain type itself, before they are compared with what is there."""
    fit = tried({name: given_value})
    assert fit.problems == []
    assert (type(fit.data[name]), fit.data[name]) == (type(kept), kept)


def test_torch_scalars_are_converted() -> None:
    """As those of NumPy."""
    torch = pytest.importorskip("torch")
    assert tried({"learning_rate": torch.tensor(0.5)}).data["learning_rate"] == 0.5
    assert tried({"batch_size": torch.tensor(0.5)}).problems


def test_what_a_schema_has_made_stays_of_its_kind() -> None:
    """A path stays a path, an enum's member one of that enum, a tuple a tuple."""
    data = {"data": Path("a"), "optimizer": Optimizer.ADAM, "sizes": (1, 2)}
    fit = tried({"data": "b", "optimizer": "sgd", "sizes": [3]}, data)
    assert fit.data == {"data": Path("b"), "optimizer": Optimizer.SGD, "sizes": (3,)}
    assert type(fit.data["sizes"]) is tuple
    assert tried({"data": None}, data).data["data"] is None
    (problem,) = tried({"optimizer": "sdg"}, data).problems
    assert problem[0] == "'sdg' is not a valid Optimizer"


def test_everything_that_does_not_fit_is_told_at_once(snapshot: SnapshotAssertion) -> None:
    """The key, what is there, what was given, what to write; dotted where it is nested."""
    new = {
        "learning_rate": "0.1",
        "batch_size": 32.5,
        "zero": True,
        "one": "1",
        "augment": 1,
        "model_version": 2,
        "betas": 0.9,
        "optimizer": "sgd",
        "optimizer.momentum": [0.9],
        "optimizer.inner": {"eps": "tiny"},
        "learning_rate.x": 1,
        "betas.x.y": 1,
    }
    fit = tried(new)
    assert "\n".join(f"{problem}\n  {hint}" for problem, hint in fit.problems) == snapshot
    assert fit.key == "learning_rate"
    assert fit.data == BASE
    more = {
        "learning_rate": True,
        "batch_size": 32.0,
        "augment": "true",
        "model_version": None,
        "betas": {"x": 1},
        "optimizer": [1],
        "optimizer.inner.eps": {"x": 1},
        "zero": np.zeros(3),
        "one": {1, 2},
    }
    assert "\n".join(f"{problem}\n  {hint}" for problem, hint in tried(more).problems) == snapshot


def test_what_the_script_has_added_is_free() -> None:
    """A device is what it is now; a hyperparameter is what the file says."""
    assert tried({"learning_rate": "cpu"}, None, "learning_rate").problems == []
    assert tried({"optimizer.name": 3}, None, "optimizer.name").problems == []
    assert len(tried({"optimizer.name": 3}, None, "name").problems) == 1


@given(TREES, TREES)
def test_a_fit_is_a_merge_or_changes_nothing(data: dict[str, Any], new: dict[str, Any]) -> None:
    """The old values are never touched; without a problem the new ones are all there."""
    before, fit = copy.deepcopy(data), tried(new, data)
    assert data == before
    if not fit.problems:
        expected = copied(data)
        merge(expected, new)
        assert repr(fit.data) == repr(expected)


@given(SCALARS | st.lists(SCALARS), SCALARS | st.lists(SCALARS))
def test_only_null_and_whole_numbers_cross_kinds(old: Any, new: Any) -> None:
    """A value fits in its own place, null in every place; else only an int in a float's or 0's."""
    assert misfit(old, old, "x") is None
    assert misfit(None, new, "x") is misfit(old, None, "x") is None
    if old is None or new is None:
        return
    numbers = {int, float}
    alike = type(old) is type(new) or (
        {type(old), type(new)} == numbers and (type(old) is float or old in {0, 1})
    )
    assert (misfit(old, new, "x") is None) == alike


# -- Names -----------------------------------------------------------------------------------------

SLIPS = """
learning_rte/learning_rate num_epoch/num_epochs learing_rate/learning_rate batchsize/batch_size
learningRate/learning_rate batch_sze/batch_size dropuot/dropout wieght_decay/weight_decay
num_layer/num_layers momentm/momentum hiden_units/hidden_units embeding_dim/embedding_dim
use_batchnorm/use_batch_norm optimzer/optimizer lr_schedular/lr_scheduler drop_out/dropout
save_summary_step/save_summary_steps num_worker/num_workers batchsiz/batch_size
"""
NAMES_OF_THEIR_OWN = """
lrr/lr beta1/beta2 beta_1/beta_2 train_size/eval_size train_size/test_size dev_size/eval_size
conv1/conv2 hidden_units_1/hidden_units_2 encoder_lr/decoder_lr kernel_size_x/kernel_size_y
learning_rate_min/learning_rate_max batch_size/patch_size height/weight text_path/test_path
model_dir/model_dim input_size/output_size lr/wd vocab_size/vocab_dim cuda/id_pad_word
num_heads/num_layers beta/beta1 mean/std fc1_units/fc2_units min_lr/max_lr gamma/gamma2
train_loss/train_acc dropout/dropout1 resnet18/resnet34 left/right mask/task q_dim/k_dim
"""


@pytest.mark.parametrize("pair", SLIPS.split())
def test_a_slip_of_the_finger_is_found(pair: str) -> None:
    """Whichever of the two stands in the file."""
    one, other = pair.split("/")
    assert nearest(one, ["seed", other]) == other
    assert nearest(other, ["seed", one]) == one


@pytest.mark.parametrize("pair", NAMES_OF_THEIR_OWN.split())
def test_a_name_of_its_own_is_let_be(pair: str) -> None:
    """A warning that is wrong teaches people to overlook warnings."""
    one, other = pair.split("/")
    assert nearest(one, ["seed", other]) is None
    assert nearest(other, ["seed", one]) is None


def test_new_names_that_are_nearly_old_ones_are_noted_where_they_are() -> None:
    """The part with a slip in its name, and the name in the right part; only among neighbours."""
    new = {
        "optimzer.momentum": 1,
        "optimizer.inner": {"epsilon": 1},
        "optimizer": {"momentm": 2},
        "learning_rte": 3,
        "momentm": 4,
        "optimizer.nmae": 5,
    }
    assert tried(new).nearly == [
        ("optimzer", "optimizer"),
        ("optimizer.momentm", "optimizer.momentum"),
        ("learning_rte", "learning_rate"),
        ("optimizer.nmae", "optimizer.name"),
    ]
