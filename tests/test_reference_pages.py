"""docs/reference: every key of a file and every error has its place."""

from __future__ import annotations

import re
from pathlib import Path

import modeldir
from modeldir import errors
from modeldir.search import plan

REFERENCE = Path(__file__).parents[1] / "docs/reference"


def test_search_json_has_a_row_for_each_key_and_for_no_other() -> None:
    """The tables with the columns key, type, default, option and example name all keys."""
    page = (REFERENCE / "search-json.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| key \| type .*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = [line for table in tables for line in table.splitlines()]
    named = [key for line in rows for key in re.findall(r"^\| \[?`(\w+)`", line)]
    assert sorted(named) == sorted(plan.KEYS)
    assert [line for line in rows if "|  |" in line or line.count("|") != 6] == []


def test_errors_lists_every_error_with_its_bases() -> None:
    """The tree has each class of `modeldir.errors`; all but the root are names of `modeldir`."""
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    classes = [
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, Exception)
    ]
    lines = page.partition("```text\n")[2].partition("```")[0]
    tree = re.findall(r"^[ │├└─]*(\w+)", lines, re.MULTILINE)
    assert sorted(tree) == sorted({*classes, "ParamsWarning"})
    assert [name for name in tree if not hasattr(modeldir, name)] == []
