"""Constraints: what they may say, what it comes to, and that nothing else is ever computed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir.space.constraints import Constraint
from modeldir.space.problems import ConstraintError

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

VALUES: dict[str, Any] = {
    "batch_size": 32,
    "accumulate": 4,
    "dropout": 0.5,
    "optimizer": "adam",
    "model.width": 64,
    "use_bn": True,
    "seed": None,
    "widths": [64, 32],
    "weight-decay": 0.1,
    "lambda": 0.2,
    "true": 7,
}


def refusal(text: str, values: dict[str, Any] = VALUES) -> str:
    """Why a text is no constraint, or cannot be computed."""
    constraint = Constraint(text)
    with pytest.raises(ConstraintError) as caught:
        assert constraint.names is None or constraint.holds(values)
    return f"{caught.value.problem}\n  {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("batch_size * accumulate <= 512", True),
        ("batch_size * accumulate <= 127", False),
        ("batch_size*accumulate==128", True),
        ("16 < batch_size <= 32", True),
        ("16 < batch_size < 32 < accumulate", False),
        ("optimizer == 'adam' or dropout < 0.1", True),
        ("optimizer in ['sgd', 'adam']", True),
        ("optimizer not in ('sgd',)", True),
        ('optimizer != "adam"', False),
        ("not (batch_size > 16 and dropout > 0.4)", False),
        ("model.width % batch_size == 0", True),
        ("use_bn", True),
        ("not use_bn", False),
        ("use_bn == True and seed == null", True),
        ("min(batch_size, accumulate) == 4", True),
        ("max(widths) == 64", True),
        ("32 in widths", True),
        ("abs(-dropout) == 0.5", True),
        ("batch_size // 5 == 6 and batch_size / 5 == 6.4", True),
        ("2 ** 5 == batch_size", True),
        ("-batch_size < +1", True),
        ("params['weight-decay'] + params['lambda'] < 1", True),
        ("batch_size / (accumulate - 4) < 1", False),
        ("2.0 ** 1024 > batch_size", False),
        ("(0 - batch_size) ** 0.5 > 0", False),
        ("accumulate > 4 and batch_size < optimizer", False),
    ],
)
def test_what_a_constraint_says(text: str, answer: bool) -> None:  # noqa: FBT001 - the expectation
    """As in Python; what has no number (a division by zero) is not kept."""
    assert Constraint(text).names
    assert Constraint(text).holds(VALUES) is answer


def test_a_hyperparameter_may_be_called_as_json_calls_truth() -> None:
    """A name that is there comes before the word."""
    assert Constraint("true == 7").holds(VALUES)
    assert not Constraint("true == 7").holds({})


def test_the_names_that_a_constraint_speaks_of() -> None:
    """Each once, dotted ones whole."""
    names = Constraint("a + model.width <= a * max(b, 3) and params['c-d'] == 'x'").names
    assert names == ("a", "model.width", "b", "c-d")


HOSTILE = [
    "__import__('os').system('true')",
    "batch_size.__class__.__mro__",
    "().__class__.__bases__[0].__subclasses__()",
    "open('/etc/passwd') == 1",
    "eval('1') == 1",
    "max.__self__ == 1",
    "[x for x in widths] == widths",
    "(lambda: True)()",
    "widths[0] == 64",
    "params[batch_size] == 1",
    "f'{batch_size}' == '32'",
    "{1: 2} == 1",
    "(batch_size := 3) == 3",
    "batch_size if use_bn else accumulate",
    "batch_size << 9999999999",
    "batch_size is 32",
    "b'x' == 1",
    "1j == 1",
    "... == 1",
    "max(*widths) == 64",
    "max(batch_size, key=abs) == 32",
    "max() == 1",
    "round(dropout) == 1",
    "9**9**9 < batch_size",
    "batch_size ** batch_size ** batch_size < 1",
    "10**400 > batch_size",
    "9" * 400 + " > batch_size",
    "'a' * 999999999 == optimizer",
    "[1] * 999999999 == widths",
    "'%999999999d' % 1 == optimizer",
    "optimizer + optimizer == optimizer",
    "-" * 400 + "batch_size < 1",
    "lambda: " + "-" * 900 + "x",
    "a" + ".a" * 490 + " < 1",
    "batch_size < 1" + " and batch_size < 1" * 100,
    "batch_size <",
    "batch_size = 3",
    "batch_size < 3 && use_bn",
    "batch_size < 3; accumulate < 3",
    "import os",
    "lambda < 3",
    "",
    "   ",
    "batch_size",
    "seed",
    "batch_size + 1",
    "3",
    "not batch_size",
    "batch_size and use_bn",
    "batch_size < optimizer",
    "seed < 3",
    "optimizer in 'adamw'",
    "batch_size in 32",
    "abs(1, batch_size) == 1",
    "abs(optimizer) == 1",
    "max(optimizer, 'b') == 'b'",
    "batch_size < \ud800",
    "batch_size < \x00",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_what_is_no_constraint_is_refused(text: str, snapshot: SnapshotAssertion) -> None:
    """At once, whatever it is: nothing is called, looked up or grown."""
    began = time.perf_counter()
    message = refusal(text)
    assert time.perf_counter() - began < 1
    assert message == snapshot


ALPHABET = st.sampled_from(
    ["batch_size", "optimizer", "model", ".", "width", "(", ")", "[", "]", "'", "9", "1", "*", "**",
     "/", "%", "-", "<", "<=", "==", "=", "in", "not", "and", "or", "max", "abs", ",", " ", "if",
     "lambda", ":", "params", "__class__", "\n", "{", "}", "#", "\\", "é", "0x", "_"]
)  # fmt: skip


@given(st.lists(ALPHABET, max_size=12).map("".join) | st.text(max_size=20))
def test_any_text_is_true_false_or_refused(text: str) -> None:
    """Never a traceback, never anything but an answer."""
    try:
        constraint = Constraint(text)
        if set(constraint.names) <= VALUES.keys():
            assert constraint.holds(VALUES) in {True, False}
    except ConstraintError as error:
        assert error.problem  # noqa: PT017 - either is right
