"""Numbers in printed lines, by the pattern of `--metrics`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from modeldir.errors import MetricsError
from modeldir.metrics.printed_lines import compile_pattern, compile_patterns, parse_line


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("val acc: {accuracy}", "Epoch 3, val acc: 0.97", {"accuracy": 0.97}),
        ("val acc: {accuracy}", "val   acc:\t 0.97 ", {"accuracy": 0.97}),
        ("val acc: {accuracy}", "val acc: n/a", {}),
        ("acc={a}, loss={b}", "acc=1., loss=-2.5e-3", {"a": 1.0, "b": -0.0025}),
        ("loss: {loss}", "val_loss: 0.5 loss: 0.25", {"loss": 0.25}),
        ("loss: {loss}", "loss:     .25", {"loss": 0.25}),
        ("loss: {loss}", "loss: infinite", {}),
        ('"acc": {val/acc}}', '{"acc": 0.9}', {"val/acc": 0.9}),
        ("acc (dev) {acc}%", "acc (dev) 97.5%", {"acc": 97.5}),
        ("loss {loss}", "\x1b[1mloss\x1b[0m \x1b[31m0.5\x1b[0m", {"loss": 0.5}),
        ("loss {loss}", "\rloss 0.9\rloss 0.8\rlo", {"loss": 0.8}),
        ("{accuracy} correct", "97 correct", {"accuracy": 97.0}),
        ("loss: {loss}", "loss: 1,234.5", {"loss": 1234.5}),
        ("loss: {loss} acc {a}", "loss: 12,345,678 acc 1", {"loss": 12345678.0, "a": 1.0}),
        ("loss: {loss}", "loss: 1,5", {}),
        ("loss: {loss}", "loss: 1.2.3", {}),
        ("loss: {loss}", "loss: 1_000", {}),
        ("{a},{b}", "1,234", {"a": 1.0, "b": 234.0}),
        ("loss: {loss}", "loss: 1e-3", {"loss": 0.001}),
        ("acc: {a}", "acc: 25%", {"a": 25.0}),
        ("loss: {loss}", "loss: tensor(0.25)", {"loss": 0.25}),
        (
            "loss {loss} acc {a}",
            "loss tensor(0.25, device='cuda:0', grad_fn=<X>) acc np.float32(0.5)",
            {"loss": 0.25, "a": 0.5},
        ),
        ("loss: {loss}", "loss: tensor([0.25], requires_grad=True)", {"loss": 0.25}),
        ("loss: {loss}", "loss: tensor([0.25, 0.5])", {}),
        ("top 1 {a}", "top 10.5", {}),
        ("loss: {loss} end", "loss: " + " " * 200_000 + "x", {}),
        ("acc: {a}", "Best acc: 0.9", {}),
        ("best acc: {a}", "best acc: 0.9", {"a": 0.9}),
        ("epoch {step}: acc {a}", "epoch 3: acc 0.5", {"step": 3.0, "a": 0.5}),
    ],
)
def test_numbers_are_found_in_printed_lines(
    pattern: str, line: str, found: dict[str, float]
) -> None:
    """The pattern is the line as it is printed, with {name} in the numbers' places."""
    assert parse_line([compile_pattern(pattern)], line) == found


def test_nan_in_a_printed_line_is_a_number() -> None:
    """A diverged training prints nan, and that is its metric."""
    assert math.isnan(parse_line([compile_pattern("loss: {loss}")], "loss: NaN")["loss"])


@given(st.floats(allow_nan=False))
def test_every_float_is_read_as_it_was_printed(number: float) -> None:
    """No digit is lost between print and the metric."""
    assert parse_line([compile_pattern("loss {loss} end")], f"loss {number} end") == {
        "loss": number
    }


@pytest.mark.parametrize("pattern", ["val acc", "", "{}", "{a b}", "{a} {a}", "{a}{b}", "{1}"])
def test_a_pattern_that_cannot_work_is_refused(pattern: str, snapshot: SnapshotAssertion) -> None:
    """Before anything is started, with an example of one that can."""
    with pytest.raises(MetricsError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == snapshot


def test_the_first_pattern_that_matches_a_line_wins() -> None:
    """The order on the command line decides, and another line may match another pattern."""
    both = compile_patterns(["val loss: {loss}", "loss: {train/loss}"])
    assert parse_line(both, "val loss: 0.5") == {"loss": 0.5}
    assert parse_line(both, "loss: 0.25") == {"train/loss": 0.25}


def test_patterns_without_a_metric_are_refused() -> None:
    """A step alone ranks nothing."""
    with pytest.raises(MetricsError, match="has only a step"):
        compile_patterns(["epoch {epoch}"])
