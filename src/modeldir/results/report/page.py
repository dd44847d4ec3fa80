"""One HTML file of the payload, the styles and the scripts.

It knows how data lies in a page so that nothing in it can be taken for markup, which scripts and
styles the page may use (its own, by their hashes; no network), and the table that is there without
scripts. It refuses to know what the data mean.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any

from modeldir.results.experiment_tree import RANKED

if TYPE_CHECKING:
    from modeldir.results.report.cells import Json

SCRIPTS = (
    "data.js", "scales.js", "filter.js", "draw.js", "leaderboard.js", "details.js", "parallel.js",
    "slices.js", "history.js", "curves.js", "panels.js", "page.js",
)  # fmt: skip
"""In the order in which they stand in the page: one scope, so what is below uses what is above."""
PLAIN = 100_000
"""Characters up to which the data are left readable; more are packed."""
TOP = 20
_COLUMNS = 10


def page(payload: Mapping[str, Json]) -> str:
    """The whole page."""
    style, script = _asset("report.css"), _script()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(payload["title"]),
        "STYLE": style,
        "STILL": _still(payload),
        "DATA": packed(payload),
        "SCRIPT": script,
    }
    pieces = _asset("report.html").split("%%")
    return "".join(parts.get(piece, piece) for piece in pieces)


@cache
def _asset(name: str) -> str:
    return (resources("modeldir.results.report") / "assets" / name).read_text("utf-8")


@cache
def _script() -> str:
    """The scripts in one function, so that none of their names is the page's."""
    body = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(async () => {{\n"use strict";\n{body}\n}})();\n'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def packed(payload: Mapping[str, Json]) -> str:
    """The data as the page's script reads them: JSON without a "<", or if that is long, packed."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    if len(text) <= PLAIN:
        return text.replace("<", "\\u003c")
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


# -- Without scripts -------------------------------------------------------------------------------


def _still(payload: Mapping[str, Json]) -> str:
    """What is there without scripts: in a preview, a mail, an old browser."""
    columns = [each for each in payload["columns"] if each["varies"] and each["kind"] != "fact"]
    shown = columns[:_COLUMNS]
    head = ["experiment", *(each["name"] for each in shown), "status"]
    rows = [
        [payload["names"][place], *(_value(each, place) for each in shown), _status(payload, place)]
        for place in _first(payload)
    ]
    more = (
        f" Of {payload['n']:,} experiments the first {len(rows)}."
        if len(rows) < payload["n"]
        else ""
    )
    lines = "".join(_row("td", row) for row in rows)
    return (
        f"<p>{html.escape(payload['title'])}, {html.escape(payload['made'])}: without scripts this "
        f"page is a table.{more}</p>\n<table><thead>{_row('th', head)}</thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _first(payload: Mapping[str, Json]) -> list[int]:
    """The best that ended well; where nothing is ranked by, the first."""
    everything = range(payload["n"])
    if not payload["objectives"]:
        return list(everything[:TOP])
    name, way = payload["objectives"][0]
    column = next(each for each in payload["columns"] if each["name"] == name)
    sign = -1 if way == "max" else 1

    def rank(place: int) -> tuple[bool, float]:
        value = column["v"][place]
        fit = isinstance(value, (int, float)) and _status(payload, place) in RANKED
        return (False, sign * value) if fit else (True, 0.0)

    return sorted(everything, key=rank)[:TOP]


def _status(payload: Mapping[str, Json], place: int) -> str:
    return str(payload["status"]["dict"][payload["status"]["i"][place]])


def _value(column: Mapping[str, Json], place: int) -> Any:
    if "dict" in column:
        index = column["i"][place]
        return "" if index < 0 else column["dict"][index]
    value = column["v"][place]
    return "" if value is None else value


def _row(tag: str, values: Sequence[Any]) -> str:
    return f"<tr>{''.join(_cells(tag, values))}</tr>\n"


def _cells(tag: str, values: Sequence[Any]) -> Iterator[str]:
    for value in values:
        yield f"<{tag}>{html.escape(str(value))}</{tag}>"
