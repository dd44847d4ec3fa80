"""Conditions on rows: what can be said, what a row without a value answers, what is refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.errors import ModeldirError
from modeldir.results import filters

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

ROW: dict[str, Any] = {
    "learning_rate": 0.01,
    "batch_size": 32,
    "model_version": "baseline",
    "model.width": 64,
    "val/loss": 0.25,
    "test accuracy": 0.9,
    "loss@last": 0.5,
    "accuracy@epoch=10": 0.75,
    "momentum": None,
    "nesterov": True,
    "diverged": math.nan,
    "lambda": 3,
    "größe": 7,
    "widths": [8, 16],
}


def holds(text: str, row: dict[str, Any] | None = None) -> bool:
    """What one row answers."""
    return filters.matching(filters.parse(text), [ROW if row is None else row])[0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('learning_rate > 0.001 and model_version == "baseline"', True),
        ("learning_rate > 0.001 and model_version == 'wide'", False),
        ("0.001 < learning_rate <= 0.01", True),
        ("batch_size in [16, 32]", True),
        ('model_version not in ("wide", "deep")', True),
        ("not nesterov", False),
        ("nesterov", True),
        ("model.width == 64", True),
        ("`val/loss` < 0.3", True),
        ("`test accuracy` >= 0.9", True),
        ("loss@last == 0.5", True),
        ("accuracy@epoch=10 >= 0.75", True),
        ("accuracy@epoch=10>0.75", False),
        ("`lambda` == 3", True),
        ("größe == 7", True),
        ("widths == [8, 16]", True),
        ("batch_size * learning_rate < 1", True),
        ("max(batch_size, model.width) == 64", True),
        # What is missing equals None, and is neither more nor less than anything.
        ("momentum == None", True),
        ("momentum == null", True),
        ("momentum != None", False),
        ("momentum > 0", False),
        ("momentum <= 0", False),
        ("not momentum > 0", True),
        ("momentum * 2 > 1 or batch_size == 32", True),
        ("momentum", False),
        ("momentum and nesterov", False),
        ("diverged > 0", False),
        ("diverged < 0", False),
        ("diverged == diverged", False),
        ("1 / (batch_size - 32) > 0 or nesterov", True),
        # A text is a text, whatever stands in it.
        ('model_version == "`val/loss`"', False),
        ('model_version != "a@last"', True),
    ],
)
def test_what_a_row_answers(text: str, answer: bool) -> None:  # noqa: FBT001 - parametrized
    """As Python would, but for what is missing."""
    assert holds(text) is answer


@pytest.mark.parametrize(
    "text",
    [
        "",
        "learning_rate >",
        "learning_rate = 0.1",
        "learning_rate > 0.1 && nesterov",
        "learning_rate",
        "learning_rate > 'a'",
        "model_version > 3",
        "batch_size + 1",
        "`val/loss < 3",
        "__import__('os').system('touch gone')",
        "open('gone', 'w') == 1",
        "model_version.__class__ == 1 or ().__class__.__bases__[0]",
        "[x for x in (1, 2)] == 1",
        "(lambda: 1)() == 1",
        "9 ** 9 ** 9 > 1",
        f"batch_size > {'1 + ' * 400}1",
    ],
)
def test_what_is_refused(
    text: str, snapshot: SnapshotAssertion, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where, what, and what to write instead; and nothing of it is ever run."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModeldirError) as error:
        holds(text)
    assert str(error.value) == snapshot
    assert not [*tmp_path.iterdir()]


def test_a_row_of_another_kind_is_not_meant() -> None:
    """One text among numbers ends nothing: that row does not answer, and so is left out."""
    rows: list[dict[str, Any]] = [{"x": 1}, {"x": "auto"}, {"x": 3}]
    assert filters.matching(filters.parse("x > 2"), rows) == [False, False, True]


NUMBERS = st.integers(-20, 20) | st.floats(-20, 20).map(lambda value: round(value, 3))
NAMES = st.sampled_from(["a", "b", "c"])
OPERANDS: st.SearchStrategy[str] = st.deferred(
    lambda: (
        NAMES
        | NUMBERS.map(repr)
        | st.tuples(OPERANDS, st.sampled_from("+-*"), OPERANDS).map(
            lambda each: f"({' '.join(each)})"
        )
    )
)
COMPARISONS = st.tuples(
    OPERANDS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), OPERANDS
).map(" ".join)
CONDITIONS: st.SearchStrategy[str] = st.deferred(
    lambda: (
        COMPARISONS
        | CONDITIONS.map("not ({})".format)
        | st.tuples(CONDITIONS, st.sampled_from(["and", "or"]), CONDITIONS).map(
            lambda each: f"({each[0]}) {each[1]} ({each[2]})"
        )
    )
)


@given(CONDITIONS, st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_the_answer_is_pythons(text: str, values: tuple[float, float, float]) -> None:
    """Of random conditions over numbers; they are made here, so `eval` runs nothing else."""
    row = dict(zip("abc", values, strict=True))
    if len(text) <= 1000:
        assert holds(text, row) is eval(text, {"__builtins__": {}}, row)


@given(st.text(max_size=40))
def test_any_text_is_answered_or_refused(text: str) -> None:
    """Nothing else is ever raised."""
    try:
        answer = holds(text)
    except ModeldirError as error:
        assert str(error).startswith("--where ")  # noqa: PT017 - either may come
    else:
        assert answer in {True, False}
