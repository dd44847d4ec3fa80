"""A table in the formats of other programs: Markdown, CSV, JSON, LaTeX, HTML, data frames.

Start at `FORMS`. The rule: a value stays text in every format, so each escapes its own notation.
Formats for people (Markdown, LaTeX, HTML) show the best in bold and deviations behind their means;
formats for programs have one value per cell, with every digit.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from modeldir._system import files
from modeldir._system.escaping import in_json, visible
from modeldir._system.terminal import DECIMALS
from modeldir._system.text import (
    Block,
    bare_value,
    cell_text,
    cut,
    json_value,
    side_by_side,
    widest,
)
from modeldir.errors import ModeldirError
from modeldir.results.table import Table
from modeldir.results.table_cells import NUMBERS, Cells
from modeldir.results.table_text import UNICODE, Shown, shown

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

LONGEST_CSV = 32_000
"""The most characters of a CSV cell. Spreadsheets move those after 32,767 into other cells."""


# -- Markdown --------------------------------------------------------------------------------------


def to_markdown(table: Table, *, digits: int | None = None) -> str:
    """Return the table in GitHub's Markdown, padded so that the source is readable too."""
    lines = [f"# {_markdown_cell(table.title)}", ""] if table.title else []
    blocks = [_markdown_block(each) for each in shown(table, digits=digits, write=_markdown_cell)]
    lines += side_by_side(blocks, " | ", "| ", " |")
    for note in (table.note or "").splitlines():
        lines += ["", _markdown_cell(note)]
    return "\n".join(lines) + "\n"


def _markdown_block(column: Shown) -> Block:
    cells = list(column.cells)
    for place in column.best:
        bare = cells[place].rstrip()
        cells[place] = f"**{bare}**{cells[place][len(bare) :]}"
    width = max(widest(("---", column.label)), widest(cells))
    rule = "-" * (width - 1) + (":" if column.numeric else "-")
    return Block([column.label, rule, *cells], width, column.numeric)


_PLAIN = re.compile(r"[A-Za-z0-9 .+/:-]*(?:(?<=[A-Za-z0-9_])_(?=[A-Za-z0-9_])[A-Za-z0-9 .+/:-]*)*")
"""Matches text without any of Markdown's special characters."""


def _markdown_cell(text: str) -> str:
    if _PLAIN.fullmatch(text):  # the usual case, which must be fast
        return text
    line = visible(re.sub(r"[\r\n\v\f\x85\u2028\u2029]+", " ", text))
    escaped = re.sub(r"([\\|<*`\[~&$])", r"\\\1", line)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)  # within a word it has no meaning


# -- CSV and JSON ----------------------------------------------------------------------------------


def to_csv(table: Table) -> str:
    """Return comma-separated values with every digit. Blanks are empty, times are in seconds.

    A string that a spreadsheet would run as a formula gets an apostrophe before it. So does a
    string that begins with an apostrophe, so dropping one always gives the value. Numbers stay.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_csv_cell, table.headers()))
    writer.writerows(zip(*map(_csv_column, table.cells), strict=True))
    return text.getvalue()


def _csv_column(cells: Cells) -> Sequence[str]:
    bare = cells.bare
    if bare.kinds <= NUMBERS:
        return bare.texts
    if bare.kinds <= {str}:  # few of them are different
        return [*map(cache(_csv_cell), bare.values)]
    return [*map(_csv_cell, bare.values)]


_FORMULA = re.compile("['=+\\-@\uff1d\uff0b\uff0d\uff20](?![0-9.]+$)")
"""Matches the start of a formula. Some spreadsheets accept the full-width signs too."""


def _csv_cell(value: object) -> str:
    value = bare_value(value)
    text = visible(cut(cell_text(value), LONGEST_CSV))
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) else text


def to_json(table: Table) -> str:
    """Return a JSON list with an object for each row. A blank is null, NaN a string."""
    headers = table.headers()
    rows = [dict(zip(headers, map(json_value, row), strict=True)) for row in table.rows]
    # A lone surrogate (from a file name that is not UTF-8) cannot be encoded, but JSON has \udc80.
    return in_json(files.to_json(rows).encode("utf-8", "backslashreplace").decode("utf-8"))


# -- LaTeX -----------------------------------------------------------------------------------------


def to_latex(table: Table) -> str:
    r"""Return a `tabular` to `\input` into a paper. It needs the package booktabs."""
    columns = shown(table, digits=DECIMALS, write=_latex_text)
    heads = [_latex_signs(column.label) for column in columns]
    cells = [list(map(_latex_number if c.numeric else str.strip, c.cells)) for c in columns]
    for column, block in zip(columns, cells, strict=True):
        for place in column.best:
            block[place] = rf"\textbf{{\boldmath {block[place]}}}"
    title = visible(table.title or "").replace("\n", " ")
    whole = "".join([*heads, *(cell for block in cells for cell in block)])
    foreign = " ".join(sorted({*re.findall(_BEYOND, whole)})[:_MOST_NAMED])
    lines = [
        f"% {title}",
        r"% needs \usepackage{booktabs}",
        *([f"% needs xelatex or lualatex, and a font that has {foreign}"] if foreign else []),
        rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}",
        r"\toprule",
        _latex_row(heads),
        r"\midrule",
        *(_latex_row(row) for row in zip(*cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "^": r"\textasciicircum{}", "_": r"\_", "~": r"\textasciitilde{}", "%": r"\%",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "`": r"\textasciigrave{}",
    "[": "{[}", "*": "{*}",  # after \\ they would be its options
    '"': r"\texttt{\char34}",  # \textquotedbl needs T1, and babel's German makes a bare one active
    "-": "-{}", ",": ",{}", "'": "'{}",  # before another one: LaTeX joins two
}  # fmt: skip
_BEYOND = "[^\0-\u017f\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u20ac]"
_MOST_NAMED = 10
_LATEX_SPECIAL = r"([-,'])(?=\1)|[\\{}$&#^_~%<>|`\[*\"]"  # not compiled: LaTeX is rare


def _latex_text(text: str) -> str:
    return re.sub(_LATEX_SPECIAL, lambda found: _LATEX[found[0]], visible(text))


def _latex_signs(text: str) -> str:
    signs = {UNICODE.maximize: r"$\uparrow$", UNICODE.minimize: r"$\downarrow$"}
    for sign, written in signs.items():
        text = text.removesuffix(sign) + written if text.endswith(f" {sign}") else text
    return text


_NUMBER = r"(?P<value>-?[0-9]+(?:\.[0-9]+)?)(?:e(?P<power>[-+]?[0-9]+))?"


def _latex_number(text: str) -> str:
    """Write `0.97 ± 0.01` and `1e-05` as in a paper."""
    text = re.sub(_NUMBER, _latex_power, text.strip())
    return text.replace(f" {UNICODE.plus_minus} ", r" $\pm$ ")


def _latex_power(found: re.Match[str]) -> str:
    value, power = found["value"], found["power"]
    if power is None:
        return f"${value}$" if value.startswith("-") else value
    return rf"${value} \times 10^{{{int(power)}}}$"


def _latex_row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


# -- HTML ------------------------------------------------------------------------------------------

_STYLE = """\
<style>
.modeldir-table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.modeldir-table caption { text-align: left; font-weight: bold; padding: 0.3em 0; }
.modeldir-table th, .modeldir-table td { padding: 0.2em 0.7em; text-align: left; }
.modeldir-table thead th { border-bottom: 1px solid currentColor; }
.modeldir-table .number { text-align: right; white-space: pre; }
</style>
"""


def to_html(table: Table) -> str:
    """Return a complete HTML page. It loads nothing and runs nothing."""
    title = _html_text(table.title or "results")
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<body style='font-family: sans-serif'>\n{to_html_part(table)}</body>\n</html>\n"
    )


def to_html_part(table: Table) -> str:
    columns = shown(table, digits=DECIMALS, write=_html_text)
    heads = "".join(_html_cell("th", each.label, each) for each in columns)
    rows = [
        "".join(_html_cell("td", _html_best(column, place), column) for column in columns)
        for place in range(len(table.rows))
    ]
    caption = f"<caption>{_html_text(table.title)}</caption>\n" if table.title else ""
    notes = "".join(f"<p>{_html_text(note)}</p>\n" for note in (table.note or "").splitlines())
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'{_STYLE}<table class="modeldir-table">\n{caption}<thead>\n<tr>{heads}</tr>\n</thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n{notes}"
    )


def _html_text(text: str) -> str:
    import html  # noqa: PLC0415 - only HTML needs it

    # A lone surrogate cannot be encoded, so `visible` escapes it.
    return html.escape(visible(text))


def _html_best(column: Shown, place: int) -> str:
    text = column.cells[place]
    return f"<strong>{text}</strong>" if place in column.best else text


def _html_cell(tag: str, text: str, column: Shown) -> str:
    scope = ' scope="col"' if tag == "th" else ""
    number = ' class="number"' if column.numeric else ""
    return f"<{tag}{scope}{number}>{text}</{tag}>"


# -- Data frames -----------------------------------------------------------------------------------


def to_pandas(table: Table) -> pd.DataFrame:
    try:
        import pandas as pd  # noqa: PLC0415 - an optional package
    except ImportError:
        raise _missing("pandas") from None
    return pd.DataFrame(_columns(table))


def to_polars(table: Table) -> pl.DataFrame:
    """Return a data frame of Polars, in which mixed values (numbers and strings) become strings."""
    try:
        import polars as pl  # noqa: PLC0415 - an optional package
    except ImportError:
        raise _missing("polars") from None
    return pl.DataFrame({name: _of_one_type(values) for name, values in _columns(table).items()})


def _missing(package: str) -> ModeldirError:
    return ModeldirError(f"{package} is not installed here\n  pip install {package}")


def _columns(table: Table) -> dict[str, list[Any]]:
    headers = table.headers()
    return {
        header: [_frame_value(row[place]) for row in table.rows]
        for place, header in enumerate(headers)
    }


def _frame_value(value: object) -> Any:
    value = bare_value(value)
    if isinstance(value, str):
        return str(value)
    return value if isinstance(value, (float, int)) or value is None else json_value(value)


_INT64 = 2**63


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    known = [value for value in values if value is not None]
    kinds = {type(value) for value in known}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    fits = kinds != {int} or all(-_INT64 <= value < _INT64 for value in known)
    if len(kinds) <= 1 and kinds <= {int, float, bool, str} and fits:
        return list(values)
    return [None if value is None else cell_text(value) for value in values]


FORMS: dict[str, Callable[[Table], str]] = {
    "markdown": to_markdown,
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "html": to_html,
}
ENDINGS = {
    ".md": "markdown", ".csv": "csv", ".json": "json", ".tex": "latex",
    ".html": "html", ".htm": "html", ".txt": "table",
}  # fmt: skip
"""The format of a file by the end of its name."""
