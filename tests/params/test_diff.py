"""What differs between two sets of hyperparameters."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir import Params, diff
from modeldir.errors import ParamsError
from modeldir.params.diff import Difference
from modeldir.params.equality import ABSENT
from modeldir.params.plain_values import canonical_hash

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

NAN = float("nan")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([1.0, 0.0, -0.0, 2.0])
    | st.sampled_from(["", "1", "true"])
)
NAMES = st.sampled_from("abc")
TREES = st.recursive(
    st.dictionaries(NAMES, SCALARS, max_size=3),
    lambda part: st.dictionaries(NAMES, part | SCALARS | st.lists(SCALARS, max_size=2), max_size=3),
    max_leaves=6,
)


def test_only_what_differs_is_told(snapshot: SnapshotAssertion) -> None:
    """Dotted names, types where they matter, null and absent told apart, in order."""
    left = {
        "lr": 1e-3, "version": 1, "flag": True, "none": None, "only_left": None, "n": 32,
        "betas": [0.9, 0.999], "model": {"depth": 2, "head": {"dropout": 0.5, "bias": True}},
        "part": {"x": 1}, "gone": {"a": 1, "b": {"c": 2}}, "nan": NAN,
    }  # fmt: skip
    right = {
        "lr": 0.001, "version": "1", "flag": 1, "none": 0, "n": 32.0,
        "betas": [0.9, 0.99], "model": {"head": {"dropout": 0.1, "bias": True}, "width": 8},
        "part": 3, "new": {"a": {}}, "nan": NAN, "null": None,
    }  # fmt: skip
    found = diff(left, right)
    assert str(found) == snapshot
    assert found[0] == ("version", 1, "1")
    assert Difference("only_left", None, ABSENT) in found
    assert Difference("null", ABSENT, None) in found


def test_nothing_differs() -> None:
    """An empty list, which says so when it is printed."""
    assert diff({"a": 1}, {"a": 1.0}) == []
    assert str(diff({}, {})) == "no difference"


def test_params_and_files_are_compared_and_not_read(tmp_path: Path) -> None:
    """To look at hyperparameters is not to train with them."""
    path = tmp_path / "params.json"
    path.write_text(json.dumps({"lr": 0.1, "model": {"depth": 2}}))
    params = Params(path)
    params["model.depth"] = 3
    assert diff(path, params) == [("model.depth", 2, 3)]
    assert params.__modeldir__.tree.reads.names == set()
    with pytest.raises(ParamsError, match="no such file"):
        diff(path, tmp_path / "parms.json")


@given(TREES, TREES)
def test_equal_hashes_and_no_difference_are_the_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    """What the canonical hash takes for the same experiment has no difference, and no other."""
    assert (canonical_hash(a) == canonical_hash(b)) == (diff(a, b) == [])
    assert [(name, right, left) for name, left, right in diff(a, b)] == unordered(diff(b, a), a, b)
    assert diff(a, copy.deepcopy(a)) == []


def unordered(found: list[Difference], a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    """The differences in the order of the other direction."""
    order = [difference.name for difference in diff(a, b)]
    assert sorted(order) == sorted(difference.name for difference in found)
    return sorted(found, key=lambda difference: order.index(difference.name))


def test_absent_stays_itself() -> None:
    """A list of differences can be pickled and copied."""
    found = diff({"a": 1}, {})
    assert pickle.loads(pickle.dumps(found)) == found
    assert copy.deepcopy(found)[0].right is ABSENT


def test_what_one_run_did_not_record_is_no_difference_between_runs(tmp_path: Path) -> None:
    """`modeldir diff` compares what both recorded; hyperparameters are told apart also so."""
    from modeldir.commands.diff import differences

    for name, record, values in (
        ("a", {"status": "completed", "python": "3.11.7", "code": "1"}, {"lr": 0.1, "seed": 1}),
        ("b", {"status": "failed", "code": "2"}, {"lr": 0.1}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "params.json").write_text(json.dumps(values))
        (tmp_path / name / "run.json").write_text(json.dumps({"format": 1, "attempt": 1, **record}))
    told = differences([tmp_path / "a", tmp_path / "b"])
    assert "python" not in told
    assert [line.split()[0] for line in told.splitlines() if line.startswith(("s", "c", "r"))] == [
        "seed",
        "run",
        "status",
        "code",
    ]
