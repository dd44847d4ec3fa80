"""The table: order, choice of rows and columns, and its four forms on paper."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldir._system.durations import duration_text
from modeldir._system.escaping import visible
from modeldir._system.text import Best, bare_value, cell_text, text_width, value_cell, wrapped
from modeldir.errors import ModeldirError
from modeldir.params.equality import all_same
from modeldir.results.table import Column, Table, select, sort
from modeldir.results.table_cells import Cells, CellsWithBest, TableRows
from modeldir.results.table_formats import to_csv, to_json, to_markdown
from modeldir.results.table_text import to_text

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

RESULTS = Table(
    (
        Column("experiment", "name", 9),
        Column("learning_rate", "hyperparameter", 7),
        Column("batch_size", "hyperparameter", 6),
        Column("model_version", "hyperparameter", 1),
        Column("accuracy", "metric", 8),
        Column("loss", "metric", 5),
        Column("status", "status", 4),
        Column("duration", "time", 3),
    ),
    (
        ("learning_rate_0.01", 0.01, 32, "baseline", 0.9711111111111111, 0.25, "completed", 3.21),
        ("learning_rate_0.1", 0.1, 32, "baseline", 0.9, 1234.5, "completed", 75.4),
        ("learning_rate_1e-05", 1e-05, 32, "baseline", 1e-07, math.nan, "pruned", 7380.0),
        ("learning_rate_1.0", 1.0, 32, "baseline", None, None, "failed", None),
    ),
    title="learning_rate: 4 trials",
)


def one(values: list[object], kind: str = "text") -> Table:
    """A table of one column."""
    return Table((Column("x", kind), Column("n")), tuple((v, i) for i, v in enumerate(values)))  # type: ignore[arg-type] # parametrized


# -- Choosing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("descending", "order"), [(False, [2, 0, 4, 1, 3]), (True, [4, 0, 2, 1, 3])]
)
def test_blanks_and_nan_come_last_in_both_directions(descending: bool, order: list[int]) -> None:  # noqa: FBT001 - parametrized
    """A failed trial is never the best one, whichever way is better."""
    table = sort(one([0.5, None, -1, math.nan, 2]), "x", descending=descending)
    assert table.column("n") == tuple(order)


def test_equal_rows_stay_as_they_were() -> None:
    """So that sorting by one column and then another does what one expects."""
    assert sort(one([1, 1.0, 0, 1]), "x", descending=True).column("n") == (0, 1, 3, 2)


def test_numbers_in_names_count_as_numbers() -> None:
    """trial_2 goes before trial_10, a learning rate of 1e-05 before 0.001; numbers before words."""
    names = ["trial_10", "trial_2", "lr_0.001", "lr_1e-05", 7, "Adam", [2]]
    assert [names[i] for i in sort(one(names), "x").column("n")] == [  # type: ignore[call-overload] # the column of ints
        7, [2], "Adam", "lr_1e-05", "lr_0.001", "trial_2", "trial_10",
    ]  # fmt: skip


def test_columns_are_chosen_and_ordered_by_name() -> None:
    """What was asked for, in the order in which it was asked for."""
    table = select(RESULTS, ["accuracy", "experiment"])
    assert table.headers() == ("accuracy", "experiment")
    assert table.rows[0] == (0.9711111111111111, "learning_rate_0.01")


def test_rows_that_are_kept_by_columns_are_rows() -> None:
    """Sorted, chosen from and cut, in whatever turn: as if each row had been made at once."""
    rows = ((3, "c", None), (1, "a", 0.5), (2, "b", math.inf), (1, "d", -0.0))
    columns = (Column("n"), Column("name"), Column("x"))
    table = Table(columns, rows)
    ordered = sort(table, "n", descending=True)
    assert ordered.rows == (rows[0], rows[2], rows[1], rows[3])
    assert [*ordered.rows] == [ordered.rows[place] for place in range(4)]
    assert ordered.rows[-1] == rows[3]
    assert ordered.rows[1:3] == (rows[2], rows[1])
    assert len(ordered.rows[:2]) == 2
    assert len(ordered.rows[4:]) == 0
    first = replace(ordered, rows=ordered.rows[:2])
    assert to_csv(first) == "n,name,x\n3,c,\n2,b,inf\n"
    assert to_csv(select(first, ["name"])) == "name\nc\nb\n"
    assert to_csv(sort(select(first, ["x", "n"]), "n")) == "x,n\ninf,2\n,3\n"
    assert ordered == Table(columns, (rows[0], rows[2], rows[1], rows[3]))
    assert ordered != table
    assert [*select(table, []).rows] == [()] * 4


def test_what_is_marked_stays_so_in_another_order() -> None:
    """A column knows its marks without making its values."""
    best = CellsWithBest(Cells([0.5, 0.9, 0.9, None]), [1, 2])
    names = Cells([*"abcd"])
    table = Table((Column("name"), Column("x")), TableRows.of([names, best], 4))
    assert table.rows == (("a", 0.5), ("b", Best(0.9)), ("c", Best(0.9)), ("d", None))
    ordered = sort(table, "x").at([3, 2, 1, 0])
    assert ordered.rows == (("d", None), ("c", Best(0.9)), ("b", Best(0.9)), ("a", 0.5))
    for cells in (*ordered.cells, *replace(ordered, rows=ordered.rows[:1]).cells):
        assert cells.kinds >= {*map(type, cells.values)}
        assert len(cells) == len(cells.values)
        assert [*cells.bare.values] == [*map(bare_value, cells.values)]
        assert [*cells.texts] == [*map(cell_text, cells.values)]


def test_a_column_that_is_not_there_is_a_mistake_with_a_hint(snapshot: SnapshotAssertion) -> None:
    """A mistyped --sort says what was probably meant, or what there is."""
    messages = []
    for name in ("acuracy", "zzz"):
        with pytest.raises(ModeldirError) as caught:
            sort(RESULTS, name)
        messages.append(str(caught.value))
    assert "\n".join(messages) == snapshot


def test_a_metric_keeps_its_name_beside_a_hyperparameter_of_that_name() -> None:
    """A loss may be the name of a function and a number; no column is lost in any form."""
    table = Table(
        (
            Column("loss", "hyperparameter"),
            Column("loss", "metric"),
            Column("loss", "hyperparameter"),
        ),
        (("mse", 0.5, "l1"),),
    )
    assert table.headers() == ("loss (hyperparameter)", "loss", "loss (hyperparameter 2)")
    assert table.column("loss") == (0.5,)
    assert list(json.loads(to_json(table))[0].values()) == ["mse", 0.5, "l1"]


# -- Text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [None, 120, 80, 50, 10])
def test_the_table_as_text(width: int | None, snapshot: SnapshotAssertion) -> None:
    """Numbers line up at the point; in little room the least important columns go first."""
    assert to_text(RESULTS, width=width, digits=4) == snapshot


def test_without_a_width_no_digit_is_lost(snapshot: SnapshotAssertion) -> None:
    """What is piped into a file or another program is whole."""
    text = to_text(RESULTS)
    assert "0.9711111111111111" in text
    assert text == snapshot


@given(st.integers(1, 150))
def test_text_is_never_wider_than_it_may_be(width: int) -> None:
    """As long as more than the first column is shown, each row fits."""
    lines = to_text(RESULTS, width=width, digits=4).splitlines()
    start = lines.index("") + 1
    table = lines[start : start + 2 + len(RESULTS.rows)]
    assert max(map(text_width, table)) <= width or "  " not in table[0].rstrip()


def test_wide_and_combining_characters_line_up() -> None:
    """Chinese takes two places, a combining accent none."""
    table = Table(
        (Column("experiment", "name"), Column("status")),
        (("日本語", "a"), ("cafe\u0301", "b"), ("中", "c")),
    )
    lines = to_text(table).splitlines()
    assert [text_width(line) for line in lines[2:]] == [len("experiment  a")] * 3


def test_a_long_name_is_cut_in_the_middle_only_where_room_is_limited() -> None:
    """Both ends of a trial's name tell it from its siblings."""
    name = "start_" + "x" * 60 + "_end"
    table = Table((Column("experiment", "name"), Column("accuracy", "metric")), ((name, 0.5),))
    assert name in to_text(table)
    assert name in to_text(table, width=100)
    narrow = to_text(table, width=60)
    assert name not in narrow
    assert "start_x" in narrow
    assert "_end  " in narrow


def test_values_cannot_command_the_terminal() -> None:
    """Escapes, new lines and marks that reverse the text are written out."""
    table = one(
        ["\x1b[31mred", "two\nlines", "\u202egpj.exe", "\udc80", "bell\a", "na\u00efve \u3000"]
    )
    text = to_text(table)
    assert len(text.splitlines()) == 2 + 6
    assert all(char.isprintable() or char in "\n\u3000" for char in text)
    for shown in (r"\x1b[31mred", r"two\nlines", r"\u202egpj.exe", r"\udc80", r"bell\x07", "naïve"):
        assert shown in text


def test_a_table_without_rows_still_has_its_names() -> None:
    """Nothing was found is also something to see."""
    empty = Table(RESULTS.columns[:2], ())
    assert to_text(empty) == "experiment  learning_rate\n----------  -------------\n"
    assert to_csv(empty) == "experiment,learning_rate\n"
    assert to_json(empty) == "[]\n"
    assert to_markdown(empty).splitlines()[1] == "| ---------- | ------------- |"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (-3, "0.0s"), (9.94, "9.9s"), (9.96, "10s"), (59.6, "1m 00s"), (61, "1m 01s"),
     (3599.9, "1h 00m"), (86399.9, "1d 00h"), (90061, "1d 01h"), (math.nan, "nan")],
)  # fmt: skip
def test_times_as_people_say_them(seconds: float, text: str) -> None:
    """Never 60 seconds in a minute's place, and never more than two units."""
    assert duration_text(seconds) == text


@given(st.text())
def test_visible_text_is_on_one_line(text: str) -> None:
    """Whatever a value holds, it takes one line and sends no command."""
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert visible(shown) == shown


# -- Other forms -----------------------------------------------------------------------------------


def test_the_table_as_markdown(snapshot: SnapshotAssertion) -> None:
    """results.md, which reads well with and without a Markdown viewer."""
    assert to_markdown(RESULTS, digits=4) == snapshot


def test_markdown_shows_values_as_they_are() -> None:
    """Pipes, HTML, links and emphasis in a value change nothing around it."""
    table = one(
        ["a|b", "a\\|b", "<script>", "[x](http://y)", "*x*", "_x_ a_b", "two\nlines", "`$x$`"]
    )
    cells = [line.split(" | ")[0][2:].rstrip() for line in to_markdown(table).splitlines()[2:]]
    assert cells == [
        r"a\|b", r"a\\\|b", r"\<script>", r"\[x](http://y)", r"\*x\*", r"\_x\_ a_b", "two lines",
        r"\`\$x\$\`",
    ]  # fmt: skip


def test_csv_has_every_digit_and_one_line_a_row(snapshot: SnapshotAssertion) -> None:
    """results.csv is what other programs read: no rounding, times in seconds."""
    assert to_csv(RESULTS) == snapshot


def test_a_csv_reader_gets_the_values_back() -> None:
    """Quotes and commas survive; floats come back exactly."""
    values = ["a,b", 'say "x"', 0.1 + 0.2, 1e-05, True, [1, "a"], {"b": None}, None, "-1"]
    read = [row[0] for row in csv.reader(io.StringIO(to_csv(one(list(values)))))][1:]
    assert read == [
        "a,b", 'say "x"', "0.30000000000000004", "1e-05", "true", '[1, "a"]',
        '{"b": null}', "", "-1",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["=cmd()", "+x", "-x", "@SUM(A1)"])
def test_a_spreadsheet_runs_no_value(text: str) -> None:
    """A hyperparameter that begins as a formula does is kept from being one."""
    assert to_csv(one([text])).splitlines()[1] == f"'{text},0"
    assert json.loads(to_json(one([text])))[0]["x"] == text


def test_null_is_no_blank() -> None:
    """A hyperparameter that is null, and one that is not there, are two."""
    table = one([value_cell(None), None, 3], "hyperparameter")
    assert [line.split() for line in to_text(table).splitlines()[2:]] == [
        ["null", "0"], ["1"], ["3", "2"]
    ]  # fmt: skip
    assert to_csv(table) == "x,n\nnull,0\n,1\n3,2\n"
    assert [row["x"] for row in json.loads(to_json(table))] == [None, None, 3]
    assert not all_same([value_cell(None), None])
    assert [row[1] for row in sort(table, "x").rows] == [2, 0, 1]


def test_json_keeps_values_as_they_are() -> None:
    """Types and odd texts survive, NaN is the text that metrics files use."""
    values: list[object] = [1, 1.5, True, None, "a\nb\udc80", [1, {"a": math.inf}], math.nan]
    text = to_json(one(values))
    assert text.encode()  # can be written, although \udc80 has no UTF-8
    read = [row["x"] for row in json.loads(text, parse_constant=pytest.fail)]
    assert read == [1, 1.5, True, None, "a\nb\udc80", [1, {"a": "inf"}], "nan"]


def test_a_column_that_is_called_trial_is_no_row_by_number() -> None:
    """Only where names gave way to numbers is it said where the names are."""
    table = Table((Column("trial", "name"), Column("x")), (("x_1", 1), ("x_2", 2)))
    for width in (None, 8, 80):
        assert "names" not in to_text(table, width=width)


def test_wide_characters_are_broken_between_words_too() -> None:
    """Each takes two columns: a line of them would be torn where the terminal ends."""
    assert wrapped("  漢字漢字 漢字漢字 漢字 no such folder", 20) == [
        "  漢字漢字 漢字漢字",
        "    漢字 no such",
        "    folder",
    ]
    assert wrapped("   ", 2) == []
    assert wrapped("longerthanthat is  told", 8) == ["longerthanthat", "  is", "  told"]
