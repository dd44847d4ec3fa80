"""Errors: one tree, messages fit to print, hints that name what was meant."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING

import pytest

from modeldir import errors
from modeldir.errors import (
    CheckpointError,
    CommandError,
    FolderBusy,
    FolderError,
    MetricsError,
    MissingParam,
    ModeldirError,
    ParamsError,
    SpaceError,
    TrialPruned,
    did_you_mean,
)

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

NAMES = ("learning_rate", "batch_size", "num_epochs", "dropout")


# -- The tree --------------------------------------------------------------------------------------


def test_every_error_hangs_in_the_tree_that_the_docstring_draws() -> None:
    """Each exception of the module stands in its docstring, and all but the prune are one tree."""
    found = [
        value
        for _, value in inspect.getmembers(errors, inspect.isclass)
        if issubclass(value, BaseException) and value.__module__ == errors.__name__
    ]
    drawn = errors.__doc__ or ""
    assert [error.__name__ for error in found if error.__name__ not in drawn] == []
    assert [e for e in found if not issubclass(e, ModeldirError)] == [TrialPruned]


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (ParamsError, ValueError),
        (MetricsError, ValueError),
        (SpaceError, ValueError),
        (MissingParam, AttributeError),
        (MissingParam, KeyError),
        (FolderBusy, FolderError),
    ],
)
def test_an_error_is_also_what_a_stranger_would_catch(
    error: type[Exception], also: type[Exception]
) -> None:
    """`except ValueError` and `getattr(params, name, default)` work as Python's own do."""
    with pytest.raises(also):
        raise error("no")


def test_a_prune_passes_an_except_for_our_errors_but_not_a_broad_one() -> None:
    """A prune is no error of ours, and `except Exception` in a script does see it."""
    assert not issubclass(TrialPruned, ModeldirError)
    assert issubclass(TrialPruned, Exception)


def test_a_missing_param_prints_its_message_and_not_the_repr_of_a_key() -> None:
    """KeyError would wrap the message in quotes and escape its line ends."""
    message = "params.json has no 'lr'\n  did you mean 'learning_rate'?"
    assert str(MissingParam(message)) == message


def test_an_error_carries_its_problems_as_data() -> None:
    """Callers read the problems and the state; they do not take the message apart."""
    error = SpaceError("The space has mistakes:", [("lr: no values", "use [0.1]"), ("two", None)])
    assert str(error) == (
        "The space has mistakes:\n  lr: no values\n    use [0.1]\n  two\nNothing was started."
    )
    assert error.causes == error.problems == (("lr: no values", "use [0.1]"), ("two", None))
    assert error.summary == "The space has mistakes:"
    assert error.without_state().endswith("\n  two")
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_a_message_without_a_list_is_its_own_cause() -> None:
    """The first line says what is wrong, the rest is the hint."""
    error = FolderError("a: no such folder\n  did you mean b?", state="Nothing was written.")
    assert error.causes == (("a: no such folder", "did you mean b?"),)
    assert error.without_state() == "a: no such folder\n  did you mean b?"


def test_a_params_error_says_where() -> None:
    """The place is there for programs too, not only in the text."""
    error = ParamsError("expected a value", path="params.json", line=3, column=7, key="model.width")
    assert (error.path, error.line, error.column, error.key) == ("params.json", 3, 7, "model.width")
    assert str(error) == "expected a value"


@pytest.mark.parametrize(
    "error",
    [
        CheckpointError,
        CommandError,
        FolderBusy,
        MissingParam,
        ParamsError,
        TrialPruned,
    ],
)
def test_an_error_comes_back_from_another_process(error: type[Exception]) -> None:
    """What a pool's worker raises is pickled: it must arrive as what it was, message and all."""
    again = pickle.loads(pickle.dumps(error("what was found")))
    assert type(again) is error
    assert str(again) == "what was found"


# -- Messages --------------------------------------------------------------------------------------


def test_many_problems_are_one_message(snapshot: SnapshotAssertion) -> None:
    """A head, each problem with its hint below it, and how things stand."""
    problems = [
        (
            "learning_rate: log_uniform needs low > 0, got 0",
            'use {"uniform": ...} to include zero',
        ),
        ("batchsize: not in params.json", did_you_mean("batchsize", NAMES)),
        ("momentum: not in params.json", did_you_mean("momentum", NAMES)),
    ]
    head = "experiments/learning_rate/search.json cannot be searched:"
    assert str(SpaceError(head, problems)) == snapshot


def test_a_message_without_a_state_ends_with_its_last_problem() -> None:
    """No empty line trails."""
    error = MetricsError("A metric must be one number:", [("loss: got None", None)], state="")
    assert str(error) == "A metric must be one number:\n  loss: got None"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("batchsize", "batch_size"),
        ("learning-rate", "learning_rate"),
        ("num_epoch", "num_epochs"),
    ],
)
def test_a_near_miss_is_named(typed: str, meant: str) -> None:
    """The usual slips lead to the name that was meant."""
    assert did_you_mean(typed, NAMES) == f"did you mean {meant!r}?"


@pytest.mark.parametrize("typed", ["x", "momentum", ""])
def test_a_far_miss_gets_no_misleading_hint(typed: str) -> None:
    """A wrong suggestion is worse than none."""
    assert did_you_mean(typed, NAMES) is None
    assert did_you_mean(typed, []) is None
