"""How a search that runs looks: wide, narrow, tiny, and with anything in its names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from modeldir._system.escaping import visible
from modeldir._system.text import text_width
from modeldir.experiment.experiment import Status
from modeldir.launchers.worker_counts import WorkerCounts
from modeldir.monitor.live_lines import (
    Layout,
    Line,
    Shape,
    curve_text,
    experiment_lines,
    fitted_end_line,
    lines_of,
    search_lines,
    step_text,
)
from modeldir.monitor.snapshots import (
    ExperimentSnapshot,
    RunningTrial,
    SearchSnapshot,
    TimeLeft,
    estimate,
    progress_text,
)

CURVE = tuple(1 - 0.8**step for step in range(1, 15))


def row(nth: int, **changes: Any) -> RunningTrial:
    values = {"learning_rate": 0.1**nth, "batch_size": 16 * nth, "dropout": 0.5}
    known = RunningTrial(
        f"learning_rate_{nth}", nth, values, step=nth + 3, value=CURVE[nth],
        curve=CURVE[: nth * 4], age=40.0 * nth,
    )  # fmt: skip
    return replace(known, **changes)


SEARCH = SearchSnapshot(
    Path("experiments/search"),
    running=(row(1), row(2), row(3)),
    varied=("learning_rate", "batch_size", "dropout"),
    metric=("accuracy", "maximize"),
    best=("trial 2 (learning_rate_0.01__batch_size_32)", 0.97123),
    states={"completed": 8, "failed": 1, "running": 3},
    remaining=48,
    time_left=TimeLeft(4100.0, sure=True),
    worker=True,
)
ALONE = ExperimentSnapshot(
    Path("experiments/base_model"),
    Status("running", 2),
    step=7,
    age=723.0,
    metrics=(("accuracy", 0.93, CURVE), ("loss", 0.07, tuple(1 - x for x in CURVE))),
    lines=("epoch 7", "loss 0.07 \x1b]0;title\x07"),
)


def text(lines: Sequence[Line]) -> str:
    return "\n".join(line.text for line in lines)


@pytest.mark.parametrize("columns", [120, 80, 60, 44, 30, 16])
def test_a_search_in_terminals_of_many_widths(columns: int, snapshot: SnapshotAssertion) -> None:
    """The curve goes first, then hyperparameters from the last one on; no line is too wide."""
    lines = search_lines(SEARCH, Shape(columns, 24))
    assert text(lines) == snapshot
    assert max(text_width(line.text) for line in lines) <= columns


@pytest.mark.parametrize("rows", range(1, 9))
def test_a_search_in_terminals_of_few_rows(rows: int) -> None:
    """How far it is stays; of the rows as many as fit are shown, and how many are not."""
    lines = search_lines(SEARCH, Shape(80, rows))
    assert len(lines) <= rows
    assert lines[-1].text.startswith("9 of 60 done (1 failed), 3 running")
    shown = sum(line.text.lstrip()[:1] in "123" for line in lines[:-1] if line.text.strip())
    told = [line.text for line in lines if "more run" in line.text]
    assert told == ([f"  and {3 - shown} more run"] if 3 - shown > 0 and len(lines) > 2 else [])


def test_columns_that_were_shown_stay(snapshot: SnapshotAssertion) -> None:
    """A trial that has just begun has no step, no metric, no curve: nothing moves because of it."""
    layout = Layout()
    shape = Shape(80, 24)
    first = search_lines(SEARCH, shape, layout)
    fresh = tuple(row(n, step=None, value=None, curve=(), last_line="loading") for n in (4, 5))
    later = search_lines(replace(SEARCH, running=fresh), shape, layout)
    assert later[0].text.startswith(first[0].text)
    assert text(later) == snapshot
    layout_of_new = Layout()
    assert (
        "accuracy" not in search_lines(replace(SEARCH, running=fresh), shape, layout_of_new)[0].text
    )
    narrow = search_lines(replace(SEARCH, running=fresh), Shape(60, 24), layout)
    assert "accuracy" not in narrow[0].text  # another terminal, another table


def test_the_first_metric_takes_the_place_of_hyperparameters_in_a_narrow_terminal() -> None:
    """A frame before the first metric shows more hyperparameters, and these give way to it."""
    layout, shape = Layout(), Shape(52, 24)
    fresh = tuple(row(n, step=None, value=None, curve=()) for n in (1, 2))
    before = search_lines(replace(SEARCH, running=fresh, metric=None), shape, layout)
    assert "batch_size" in before[0].text
    after = search_lines(SEARCH, shape, layout)
    assert before[0].text != after[0].text
    assert "accuracy" in after[0].text
    assert search_lines(SEARCH, shape, layout)[0].text == after[0].text


@pytest.mark.parametrize(
    ("step", "values", "words"),
    [
        (250, {"num_epochs": 10, "num_steps": 1500}, "250/1500"),
        (10, {"num_epochs": 10}, "10/10"),
        (11, {"num_epochs": 10}, "11"),
        (3, {"max_epochs": 7.5, "epochs": "7"}, "3"),
        ("3", {"epochs": 7}, "3"),
        (None, {"epochs": 7}, ""),
    ],
)
def test_a_step_is_told_with_the_last_one(step: object, values: dict[str, Any], words: str) -> None:
    """Where the hyperparameters have a number of epochs or steps that is not less."""
    assert step_text(step, values) == words


def test_curves_of_one_column_have_one_scale() -> None:
    """A trial that is worse from the beginning to the end looks worse."""
    good, bad = row(1, curve=(0.5, 0.9)), row(2, curve=(0.1, 0.2))
    lines = search_lines(replace(SEARCH, running=(good, bad)), Shape(100, 24))
    assert "▅█" in lines[1].text
    assert "▁▂" in lines[2].text


@pytest.mark.parametrize("columns", [100, 60, 44, 30, 16])
def test_what_stays_of_a_trial_fits_its_line(columns: int, snapshot: SnapshotAssertion) -> None:
    """Below each other where there is room; names are cut in the middle, words at their end."""
    told = [
        ("learning_rate_0.1", "completed", "accuracy 0.97  1m 02s"),
        ("learning_rate_0.0001__batch_size_32", "failed", "error: ValueError: it diverged " * 3),
        ("lr_日本", "interrupted", "asked to stop"),
    ]
    lines = [fitted_end_line(*each, Shape(columns, 24), 35) for each in told]
    assert max(map(text_width, lines)) <= columns
    assert "\n".join(lines) == snapshot


def test_a_stream_that_cannot_show_curves(snapshot: SnapshotAssertion) -> None:
    """Without its blocks the curve is left out, and what a name holds is spelled out."""
    named = replace(SEARCH, best=("größe_日本_0.1", 0.5))
    lines = search_lines(named, Shape(100, 24, "ascii"))
    assert text(lines).isascii()
    assert text(lines) == snapshot


def test_trainings_without_metrics_show_what_they_print(snapshot: SnapshotAssertion) -> None:
    """The last line takes the room that is left."""
    rows = tuple(
        row(
            n, step=None, value=None, curve=(), last_line=f"epoch {n}: 30%|###   | 3/10 " + "x" * 99
        )
        for n in (1, 2)
    )
    lines = search_lines(replace(SEARCH, running=rows, best=None), Shape(80, 24))
    assert text(lines) == snapshot


@pytest.mark.parametrize("columns", [80, 30])
def test_the_view_says_why_no_trial_is_the_best(columns: int) -> None:
    """Where no metric has a direction, the question takes the best trial's line, cut to fit."""
    asked = replace(SEARCH, metric=None, best=None, unranked=("fitness", "speed"))
    lines = text(search_lines(asked, Shape(columns, 24))).splitlines()
    question = "not ranked: is higher or lower better for fitness or speed?"
    assert (question if columns > len(question) else "not ranked: is higher or…") in lines


@pytest.mark.parametrize("columns", [60, 40])
def test_narrow_lines_are_cut_between_words(columns: int, snapshot: SnapshotAssertion) -> None:
    """What is said ends with a whole word and an ellipsis; of facts whole ones are left out; of a
    folder's name, as of each name, the middle is.
    """
    workers = WorkerCounts(run=2, wait=3, left=1, waits="PENDING (Resources)")
    problem = "search.json cannot be read: line 3: expected a comma between the values of a list"
    search = replace(SEARCH, folder=Path("experiments/" + "learning_rate_" * 3), workers=workers)
    search = replace(search, problem=problem)
    says = "Epoch 3: the loss is decreasing nicely and the accuracy wonderfully"
    alone = replace(ALONE, folder=search.folder / "base", lines=(says,))
    shape = Shape(columns, 24)
    lines = [
        *search_lines(search, shape),
        *experiment_lines(alone, shape),
        *lines_of([replace(search, running=()), replace(alone, status=Status("completed"))], shape),
    ]
    assert text(lines) == snapshot


def test_what_a_terminal_would_obey_is_spelled_out() -> None:
    """A name, a value, a step, a printed line: none moves the cursor or begins a line."""
    evil = "a\x1b[2J\r\n\u202e\x9b31m"
    rows = (
        row(1, values={"learning_rate": evil, "batch_size": [evil]}, step=evil),
        row(2, number=None, name=evil, value=None, last_line=evil),
    )
    search = replace(SEARCH, running=rows, varied=("learning_rate", evil), best=(evil, 1.0))
    for line in search_lines(search, Shape(200, 24)):
        assert visible(line.text) == line.text
    alone = replace(ALONE, folder=Path(evil), metrics=((evil, 1.0, ()),), lines=(evil,))
    for line in experiment_lines(alone, Shape(200, 24)):
        assert visible(line.text) == line.text


TEXTS = st.text(max_size=60) | st.sampled_from(["日本語" * 20, "é" * 50, "👩‍👩‍👧" * 9])


@given(
    columns=st.integers(1, 130), rows=st.integers(1, 12), names=st.lists(TEXTS, max_size=4),
    value=st.floats() | st.none(), said=TEXTS, titled=st.booleans(),
)  # fmt: skip
def test_no_line_is_ever_too_wide(  # noqa: PLR0913, PLR0917 - all that a frame is made of
    columns: int,
    rows: int,
    names: list[str],
    value: float | None,
    said: str,
    titled: bool,  # noqa: FBT001
) -> None:
    """Whatever is in it, and however small the terminal: it would wrap, and the view crawl."""
    running = tuple(
        RunningTrial(
            name, None, {name: name for name in names}, said, value, (value or 0.0,), 1e6, said
        )
        for name in names
    )
    best = (said, value) if value is not None else None
    standing = replace(SEARCH, running=running, varied=tuple(names), best=best)
    shape = Shape(columns, rows)
    alone = replace(ALONE, folder=Path(said), lines=tuple(names))
    for lines in (
        search_lines(standing, shape, titled=titled),
        experiment_lines(alone, shape),
        lines_of([standing, alone, SEARCH], shape),
    ):
        assert len(lines) <= rows
        for line in lines:
            assert text_width(line.text) <= columns
            assert visible(line.text) == line.text


def test_one_experiment(snapshot: SnapshotAssertion) -> None:
    """Each metric with its curve, and what it printed last."""
    assert text(experiment_lines(ALONE, Shape(80, 24))) == snapshot


def test_several_searches(snapshot: SnapshotAssertion) -> None:
    """Those that run are drawn whole; of the others one line tells, of very many their number."""
    over = replace(
        SEARCH, folder=Path("experiments/width"), running=(), states={"completed": 4}, remaining=0,
        time_left=None,
    )  # fmt: skip
    others = [replace(over, folder=Path(f"experiments/old_{n}")) for n in range(30)]
    lines = lines_of([SEARCH, over, ALONE, *others], Shape(90, 24))
    assert text(lines) == snapshot


# -- In words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "9 of 60 done (1 failed), 3 running, about 1 h 10 min left"),
        ({"time_left": TimeLeft(4100, sure=False)},
         "9 of 60 done (1 failed), 3 running, at least 1 h 10 min left"),
        ({"time_left": TimeLeft(20, sure=False)}, "9 of 60 done (1 failed), 3 running"),
        ({"time_left": TimeLeft(20, sure=True)},
         "9 of 60 done (1 failed), 3 running, less than a minute left"),
        ({"time_left": None, "remaining": None}, "9 done (1 failed), 3 running"),
        ({"time_left": None, "states": {}, "remaining": 60}, "nothing of 60 has started yet"),
        ({"time_left": None, "states": {}, "remaining": None}, "nothing has started yet"),
        ({"time_left": None, "states": {"completed": 2, "interrupted": 1, "pending": 1},
          "remaining": 0, "worker": False}, "2 of 4 done, 1 interrupted, 1 pending"),
        ({"time_left": None, "states": {"completed": 2, "running": 1, "pending": 1},
          "remaining": 1},
         "2 of 5 done, 1 running"),
    ],
)  # fmt: skip
def test_how_far_a_search_is(changes: dict[str, Any], words: str) -> None:
    """What ended of how many, what runs, and how long it will take, where that can be told."""
    assert progress_text(replace(SEARCH, **changes)) == words


def test_trials_of_other_workers_are_told() -> None:
    """The view of a worker shows its own; the others are counted."""
    assert progress_text(SEARCH, 2).startswith("9 of 60 done (1 failed), 3 running (2 elsewhere)")


@pytest.mark.parametrize(
    ("values", "curve"),
    [
        ([], ""),
        ([0.5], "▅"),
        ([1.0, 1.0, 1.0], "▅▅▅"),
        ([0.0, math.nan, 1.0], "▁!█"),
        ([math.inf, -math.inf], "!!"),
        ([-1e308, 0.0, 1e308], "▁▅█"),
        ([float(n) for n in range(1000)], "▁▂▂▃▄▄▅▅▆▇▇█"),
        ([9.0] + [0.0] * 1000, "█▁▁▁▁▁▁▁▁▁▁▁"),
    ],
)
def test_curves(values: list[float], curve: str) -> None:
    """From the lowest to the highest value; what is no number is seen to be none."""
    assert curve_text(values) == curve


# -- What is left to wait --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finished", "ages", "remaining", "slots", "left"),
    [
        ([], [100.0], 10, 2, None),
        ([60.0], [0.0], 0, 1, TimeLeft(60.0, sure=True)),
        ([60.0], [20.0, 50.0], 0, 2, TimeLeft(40.0, sure=True)),
        ([60.0], [0.0, 0.0], 2, 2, TimeLeft(120.0, sure=True)),
        ([60.0], [0.0, 0.0], 3, 2, TimeLeft(180.0, sure=True)),
        ([40.0, 80.0], [0.0], 1, 2, TimeLeft(60.0, sure=True)),
        ([40.0, 80.0], [81.0], 1, 1, TimeLeft(60.0, sure=False)),
        ([60.0], [], 4, 0, TimeLeft(0.0, sure=True)),
    ],
)
def test_what_is_left_to_wait(
    finished: list[float], ages: list[float], remaining: int, slots: int, left: TimeLeft | None
) -> None:
    """As slots take trials; not known before one has ended, a bound where one runs longest."""
    assert estimate(finished, ages, remaining, slots) == left


@given(
    st.lists(st.floats(0.01, 1e5), min_size=1, max_size=20),
    st.lists(st.floats(0, 1e5), max_size=9),
    st.integers(0, 300), st.integers(1, 9),
)  # fmt: skip
def test_more_to_come_is_never_sooner_over(
    finished: list[float], ages: list[float], remaining: int, slots: int
) -> None:
    """And never sooner than all the work that is left, shared by all slots."""
    slots = max(slots, len(ages))
    first, more = (estimate(finished, ages, n, slots) for n in (remaining, remaining + 1))
    assert first is not None
    assert more is not None
    assert more.seconds >= first.seconds
    assert first.seconds >= sum(finished) / len(finished) * remaining / slots * 0.999
