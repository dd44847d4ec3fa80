"""Put the data, the styles and the scripts into one HTML file.

`report_file` calls `page`. Nothing in the data can be taken for markup: `packed` escapes or
compresses it. The page may run only its own scripts and styles, identified by their hashes, and may
not use the network. Without scripts it shows a table.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files as resources
from typing import Any

from modeldir.experiment.attempts import RANKED
from modeldir.results.report.encoding import Json

SCRIPTS = (
    "data.js", "scales.js", "filter.js", "draw.js", "leaderboard.js", "details.js", "parallel.js",
    "slices.js", "history.js", "curves.js", "panels.js", "page.js",
)  # fmt: skip
"""In the order of the page. They share one scope, so a later script uses the earlier ones."""
LONGEST_PLAIN = 100_000
"""Characters: longer data are compressed."""
_MOST_ROWS, _MOST_COLUMNS = 20, 10


def page(data: Mapping[str, Json]) -> str:
    style, script = _asset("report.css"), _script()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": html.escape(data["title"]),
        "STYLE": style,
        "STILL": _table(data),
        "DATA": packed(data),
        "SCRIPT": script,
    }
    pieces = _asset("report.html").split("%%")
    return "".join(parts.get(piece, piece) for piece in pieces)


@cache
def _asset(name: str) -> str:
    return (resources("modeldir.results.report") / "assets" / name).read_text("utf-8")


@cache
def _script() -> str:
    """Return all scripts in one function, so that they define no global name."""
    body = "\n".join(_asset(name) for name in SCRIPTS)
    return f'(async () => {{\n"use strict";\n{body}\n}})();\n'


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def packed(data: Mapping[str, Json]) -> str:
    """Return the data as JSON without a "<", or compressed if that is long."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    if len(text) <= LONGEST_PLAIN:
        return text.replace("<", "\\u003c")
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _table(data: Mapping[str, Json]) -> str:
    """Return the table that a mail, a preview or an old browser shows instead of the scripts."""
    columns = [each for each in data["columns"] if each["varies"] and each["kind"] != "fact"]
    shown = columns[:_MOST_COLUMNS]
    has_trials = any(number is not None for number in data["numbers"])
    head = ["trial"] * has_trials + ["experiment", *(each["name"] for each in shown), "status"]
    rows = [
        [
            *([data["numbers"][index] or ""] * has_trials),
            data["names"][index],
            *(_value(each, index) for each in shown),
            _status(data, index),
        ]
        for index in _best(data)
    ]
    count = data["n"]
    more = (
        f" These are the first {len(rows)} of {count:,} experiments." if len(rows) < count else ""
    )
    lines = "".join(_row("td", row) for row in rows)
    return (
        f"<p>{html.escape(data['title'])}, {html.escape(data['made'])}: without scripts this "
        f"page is a table.{more}</p>\n<table><thead>{_row('th', head)}</thead>"
        f"<tbody>{lines}</tbody></table>"
    )


def _best(data: Mapping[str, Json]) -> list[int]:
    everything = range(data["n"])
    if not data["objectives"]:
        return list(everything[:_MOST_ROWS])
    name, direction = data["objectives"][0]
    column = next(each for each in data["columns"] if each["name"] == name)
    sign = -1 if direction == "max" else 1

    def key(index: int) -> tuple[bool, float]:
        value = column["v"][index]
        is_ranked = isinstance(value, (int, float)) and _status(data, index) in RANKED
        return (False, sign * value) if is_ranked else (True, 0.0)

    return sorted(everything, key=key)[:_MOST_ROWS]


def _status(data: Mapping[str, Json], index: int) -> str:
    return str(data["status"]["dict"][data["status"]["i"][index]])


def _value(column: Mapping[str, Json], index: int) -> Any:
    if "dict" in column:
        code = column["i"][index]
        return "" if code < 0 else column["dict"][code]
    value = column["v"][index]
    return "" if value is None else value


def _row(tag: str, values: Sequence[Any]) -> str:
    cells = (f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)
    return f"<tr>{''.join(cells)}</tr>\n"
