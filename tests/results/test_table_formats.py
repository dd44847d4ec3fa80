"""The forms that other programs read, each read back by one of them; and hostile values in all."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import engines
from modeldir._system.escaping import visible
from modeldir._system.text import NULL, Best, Marked
from modeldir.results.table import Column, Table, select, sort
from modeldir.results.table_formats import (
    FORMS,
    LONGEST_CSV,
    to_csv,
    to_html,
    to_html_part,
    to_json,
    to_latex,
    to_markdown,
    to_pandas,
    to_polars,
)
from modeldir.results.table_text import to_text

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

RESULTS = Table(
    (
        Column("experiment", "name"),
        Column("learning_rate", "hyperparameter"),
        Column("optimizer", "hyperparameter"),
        Column("accuracy", "metric", direction="maximize"),
        Column("accuracy std", "metric", of="accuracy"),
        Column("repeats", "text", label="n"),
        Column("loss", "metric", direction="minimize"),
        Column("duration", "time"),
    ),
    (
        ("wide_8", 0.01, "adam", Best(0.97111111), 0.0021, 3, Best(-0.25), 75.4),
        ("deep_8", 1e-05, Marked("sgd"), 0.9, None, 1, math.nan, 7380.0),
        ("none", NULL, None, None, None, 0, math.inf, None),
    ),
    title="widths: 3 experiments",
    note="1 failed (error): ValueError: x_1 is 50% & <more>",
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\uff1d1+1",
    "\t=1",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "a|b\nc\r\nd",
    "**bold** `code` [link](javascript:alert(1))",
    r"\input{/etc/passwd} $x_1^2$ & % # ~ {}",
    "[0.5ex] * -- --- ,, '' ''",
    "'quoted",
    "\u202egnp.exe",
    "\ud800",
    "a,b;c",
    "",
]
MESS = Table(
    (Column("x", "name"), Column("<b>&y", "hyperparameter")),
    tuple((text, text) for text in HOSTILE),
    title="<script>t</script>",
    note="<script>n</script>\nsecond",
)


PAPER = r"""\documentclass{article}
\usepackage[paperwidth=50cm]{geometry}
\usepackage[ENCODING]{fontenc}
\usepackage{booktabs}
\begin{document}
\input{table}
\end{document}
"""


class Reader(HTMLParser):
    """Cells by row, and every tag there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: set[str] = set()
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - none is asked for
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


# -- Each form -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_each_form(form: str, snapshot: SnapshotAssertion) -> None:
    """The best stands out, times have units, deviations stand behind means: for people."""
    assert FORMS[form](RESULTS) == snapshot


def test_csv_has_one_value_a_cell() -> None:
    """Every digit, a deviation in a column of its own, no mark and no arrow."""
    rows = [*csv.DictReader(io.StringIO(to_csv(RESULTS)))]
    assert rows[0]["accuracy"] == "0.97111111"
    assert rows[0]["accuracy std"] == "0.0021"
    assert (rows[1]["optimizer"], rows[1]["loss"]) == ("sgd", "nan")
    assert (rows[2]["learning_rate"], rows[2]["duration"]) == ("null", "")


def test_json_is_json() -> None:
    """NaN and the infinities have no form there: they are texts, which a strict reader takes."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    rows = json.loads(to_json(RESULTS), parse_constant=refuse)
    assert [row["loss"] for row in rows] == [-0.25, "nan", "inf"]
    assert rows[2]["learning_rate"] is None


def test_pandas_has_the_values() -> None:
    """Numbers are numbers, a blank is missing."""
    frame = to_pandas(RESULTS)
    assert [*frame.columns] == [*RESULTS.headers()]
    assert frame["accuracy"].dtype == float
    assert frame["accuracy"].tolist()[:2] == [0.97111111, 0.9]
    assert frame["optimizer"].tolist()[:2] == ["adam", "sgd"]
    assert frame["loss"].isna().tolist() == [False, True, False]
    assert frame["learning_rate"].isna().tolist() == [False, False, True]


@pytest.mark.exchange
def test_polars_has_the_values() -> None:
    """As far as one type fits a column; a column of several kinds is text."""
    engines.need_package("polars")
    frame = to_polars(RESULTS)
    assert frame.columns == [*RESULTS.headers()]
    assert frame["accuracy"].to_list() == [0.97111111, 0.9, None]
    assert frame["repeats"].to_list() == [3, 1, 0]
    mixed = [1, "a", None, [1, 2], 2**70, 0.5, True]
    table = Table((Column("x"), Column("y")), tuple((each, each) for each in mixed))
    assert to_polars(table)["x"].to_list() == [
        "1", "a", None, "[1, 2]", "1180591620717411303424", "0.5", "true",
    ]  # fmt: skip


def test_html_is_a_page() -> None:
    """A real reader finds the cells; nothing is loaded and nothing runs."""
    page = Reader(to_html(RESULTS))
    assert page.rows[0][3] == "accuracy ↑"
    assert page.rows[1][0] == "wide_8"
    assert page.rows[1][3].strip() == "0.9711 ± 0.0021"
    assert len(page.rows) == 4
    assert page.tags.isdisjoint({"script", "link", "img", "iframe"})


_CELLS = st.one_of(
    st.none(), st.floats(), st.integers(), st.booleans(), st.text(max_size=6),
    st.sampled_from(["a,b", 'say "x"', "=1", "-1", "a_b", "_a", "a|b"]),
)  # fmt: skip


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[_CELLS] * n), max_size=5)))
def test_a_column_is_written_as_its_cells_are(rows: list[tuple[object, ...]]) -> None:
    """What is looked at as a whole, for speed, is what its cells are one by one; the CSV is that
    of the standard library.
    """
    table = Table(tuple(Column(f"c{n}") for n in range(len(rows[0]) if rows else 1)), tuple(rows))
    alone = [[to_csv(Table((Column("c"),), ((cell,),))) for cell in row] for row in rows]
    texts = [[[*csv.reader(io.StringIO(one))][1][0] for one in row] for row in alone]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([table.headers(), *texts])
    assert to_csv(table) == out.getvalue()
    markdown = to_markdown(table).splitlines()[2:]
    ones = [
        [to_markdown(Table((Column("c"),), ((cell,),))).splitlines()[2] for cell in row]
        for row in rows
    ]
    for line, row in zip(markdown, ones, strict=True):
        assert re.sub(" +", " ", line) == re.sub(" +", " ", f"|{''.join(one[1:] for one in row)}")


def test_what_is_made_of_a_column_is_of_the_rows_that_are_there() -> None:
    """Also where it was chosen from a table whose texts had been made, or sorted after that."""
    table = Table((Column("a", "name"), Column("b")), (("x", 0.25), ("y", 10.5)))
    assert to_csv(table) == "a,b\nx,0.25\ny,10.5\n"
    chosen = select(table, ["b"], title="b alone")
    assert to_csv(chosen) == "b\n0.25\n10.5\n"
    assert to_text(chosen) == "b alone\n\n    b\n-----\n 0.25\n10.5\n"
    assert to_csv(sort(chosen, "b", descending=True)) == "b\n10.5\n0.25\n"
    assert to_csv(replace(chosen, rows=chosen.rows[:1])) == "b\n0.25\n"


# -- Hostile values --------------------------------------------------------------------------------


def test_html_shows_markup_as_text() -> None:
    """In names, values, headers, title and notes: what comes out is what was put in."""
    part = to_html_part(MESS)
    page = Reader(part)
    assert page.tags <= {"style", "table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert [row[0] for row in page.rows[1:3]] == HOSTILE[:2]
    assert "\x1b" not in part


@pytest.mark.parametrize("text", HOSTILE)
def test_a_spreadsheet_runs_nothing(text: str) -> None:
    """A formula has an apostrophe before it; who takes it away has what can be printed."""
    table = Table((Column("x", "name"),), ((text,),))
    ((_,), *rows) = csv.reader(io.StringIO(to_csv(table).encode("utf-8").decode()))
    cell = rows[0][0] if rows and rows[0] else ""
    assert not re.match(r"[=+@\t\r\uff1d]|-(?![0-9.]+$)", cell)
    bare = cell.removeprefix("'")
    assert bare == text.encode("unicode_escape").decode() or text.isprintable() is (bare == text)


@given(st.text(max_size=20) | st.floats() | st.integers())
def test_a_csv_value_is_read_back(value: str | float) -> None:
    """Numbers as they are; printable texts but for the apostrophe before a formula."""
    table = Table((Column("x"), Column("n")), ((value, 1),))
    cell = [*csv.reader(io.StringIO(to_csv(table)))][1][0]
    if not isinstance(value, str):
        assert type(value)(cell) == value or math.isnan(float(cell))
    elif value.isprintable():
        assert value in (cell, cell.removeprefix("'"))
        assert cell == value or not value[:1].isalnum()


def test_no_terminal_obeys_a_value() -> None:
    """No form that is looked at has an escape sequence, or a mark that reorders what is read."""
    for text in (to_text(MESS), to_markdown(MESS), to_csv(MESS), to_latex(MESS), to_html(MESS)):
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e\ud800]", text)


def test_latex_has_no_command_of_a_value() -> None:
    """Each special sign is escaped, every row has as many cells, no option follows a row's end."""
    text = to_latex(MESS)
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    known = (
        r"\\text(backslash|asciicircum|asciitilde|asciigrave|less|greater|bar)\{\}"
        r"|\\texttt\{\\char34\}|\\[{}$&#_%]|\{\[\}|\{\*\}|[-,']\{\}| \\\\\n| & "
    )
    left = re.sub(known, " ", body)
    assert not re.search(r"[\\{}$&#^_~%<>|`\[*\"]|--|,,|''", left)
    assert all(row.endswith(" \\\\") for row in body.splitlines())


@pytest.mark.parametrize("encoding", ["OT1", "T1"])
@pytest.mark.parametrize("table", [RESULTS, MESS], ids=["results", "mess"])
def test_pdflatex_typesets_it(table: Table, encoding: str, tmp_path: Path) -> None:
    """With the one package that the table names, and no complaint, in the fonts of old and of now.
    Each value is on the page; in the old ones no program can read `_` back.
    """
    engines.need("latex", "pdflatex", "pdftotext")
    known = tuple(row for row in table.rows if "\uff1d" not in str(row[0]))
    (tmp_path / "table.tex").write_text(to_latex(replace(table, rows=known)))
    (tmp_path / "paper.tex").write_text(PAPER.replace("ENCODING", encoding))
    typeset = ["pdflatex", "-no-shell-escape", "-halt-on-error", "-interaction=nonstopmode"]
    done = subprocess.run([*typeset, "paper"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
    page = subprocess.run(
        ["pdftotext", "-layout", "paper.pdf", "-"], cwd=tmp_path, capture_output=True, check=True
    ).stdout.decode()
    bare = re.sub(r"\s", "", page).replace("\u2019", "'")
    for name, *_ in known if encoding == "T1" else ():
        assert re.sub(r"\s", "", visible(str(name))) in bare


def test_latex_names_what_pdflatex_stops_at() -> None:
    """Characters beyond Latin need another program, and a font: said above the table."""
    table = Table((Column("x", "name"),), (("é \u2013 β",), ("學",)))
    wanted = "% needs xelatex or lualatex, and a font that has β 學\n"
    assert wanted in to_latex(table)
    assert "xelatex" not in to_latex(RESULTS)


def test_what_is_too_long_is_cut_with_a_word() -> None:
    """People see the beginning and how long it was; JSON has it all."""
    long = "x" * 10_000_000
    table = Table((Column("a", "name"), Column("prompt", "hyperparameter")), (("a", long),))
    for text in (to_text(table), to_markdown(table), to_latex(table), to_html(table)):
        assert len(text) < 10_000
        assert "(cut: 10,000,000 characters)" in text
    rows = [*csv.reader(io.StringIO(to_csv(table)))]
    assert len(rows[1][1]) == LONGEST_CSV
    assert rows[1][1].endswith("(cut: 10,000,000 characters)")
    assert json.loads(to_json(table))[0]["prompt"] == long


MISSING = """
import sys
sys.modules[sys.argv[1]] = None
from modeldir.errors import ModeldirError
from modeldir.results.table import Table
from modeldir.results import table_formats as tableforms
try:
    getattr(tableforms, "to_" + sys.argv[1])(Table((), ()))
except ModeldirError as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_frame_without_its_package(package: str) -> None:
    """The error says what to install."""
    command = [sys.executable, "-c", MISSING, package]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{package} is not installed here\n  pip install {package}\n"
