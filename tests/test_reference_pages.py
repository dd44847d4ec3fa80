"""docs/reference: every key of a file and every error has its place."""

from __future__ import annotations

import re
from pathlib import Path

import cli_pages
import modeldir
from modeldir import errors
from modeldir.experiment import attempts, failure_classes, project_settings
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


def test_the_pages_of_the_commands_are_up_to_date() -> None:
    """docs/reference/cli is what the parsers say: `python tests/cli_pages.py` writes it."""
    made = cli_pages.pages()
    stale = [path.name for path, text in made.items() if path.read_text(encoding="utf-8") != text]
    assert stale == []
    assert {path.name for path in (REFERENCE / "cli").iterdir()} == {path.name for path in made}


def test_modeldir_toml_has_a_row_for_each_key() -> None:
    """The table names all keys that `settings` accepts, and no other."""
    page = (REFERENCE / "modeldir-toml.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `\[?(\w+)\]?` \|", page, re.MULTILINE)
    assert sorted(named) == sorted(project_settings.KEYS)


def test_statuses_and_classes_of_failures_have_their_rows() -> None:
    """Each status of an attempt, and each class, is explained once."""
    page = (REFERENCE / "status-and-exit-codes.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)
    statuses = [attempts.PENDING, attempts.RUNNING, *attempts.ENDS, attempts.UNTRACKED]
    assert named == [*statuses, *failure_classes.CLASSES]
