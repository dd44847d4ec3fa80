"""Plugins: found by name, by entry point or as package.module:Class, and wrong names explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modeldir._system.plugins import PluginError, PluginKind, UnknownPlugin, unknown_options

if TYPE_CHECKING:
    from pathlib import Path

KIND = PluginKind(
    "modeldir.toys",
    {"count": "collections:Counter", "old": "json:dumps"},
    ("count",),
    {"tally": "count"},
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with modules of the user's and an installed package that offers two."""
    installed = tmp_path / "site-packages/toys-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Name: toys\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[modeldir.toys]\nmap = collections:ChainMap\nbroken = no_such_module:X [extra]\n"
    )
    (tmp_path / "toys_of_the_test.py").write_text(
        "class Robot:\n    class Small: pass\nrobot = 3\n"
    )
    (tmp_path / "broken_of_the_test.py").write_text("import json\njson.no_such_function()\n")
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("count", "Counter"),
        ("map", "ChainMap"),
        ("toys_of_the_test:Robot", "Robot"),
        ("toys_of_the_test:Robot.Small", "Small"),
    ],
)
def test_a_plugin_is_loaded_by_each_kind_of_name(project: Path, name: str, found: str) -> None:
    """Built in, by entry point, or from a module in the current folder."""
    assert KIND.load(name).__name__ == found


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("cuont", "did you mean 'count'?"),
        ("mpa", "did you mean 'map'?"),
        ("Tally", "did you mean 'count'?"),
        ("zzz", "known: count, broken, map, or package.module:Class"),
    ],
)
def test_an_unknown_name_gets_the_closest_one_as_a_hint(
    project: Path, name: str, hint: str
) -> None:
    """Among the built-in plugins and those of other packages; `old` is not suggested."""
    with pytest.raises(UnknownPlugin) as refused:
        KIND.load(name)
    assert refused.value.problem == (f"no {name!r}", hint)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("broken", "no_such_module:X cannot be imported: No module named 'no_such_module'"),
        ("broken_of_the_test:X", "broken_of_the_test:X cannot be imported: AttributeError: module"),
        ("toys_of_the_test:Robto", "toys_of_the_test has no class 'Robto'"),
        ("toys_of_the_test:robot", "toys_of_the_test has no class 'robot'"),
        ("toys_of_the_test:", "toys_of_the_test has no class ''"),
        (":", ": cannot be imported: ValueError: Empty module name"),
    ],
)
def test_a_module_that_is_wrong_is_one_message(project: Path, name: str, what: str) -> None:
    """Whatever the user's module raises: no traceback of modeldir's."""
    with pytest.raises(PluginError) as refused:
        KIND.load(name)
    assert refused.value.problem.what.startswith(what)
    assert refused.value.problem.hint


def test_unknown_options_are_named_with_what_there_is() -> None:
    """Each with the closest option, or with all of them."""
    options = {"size": 1, "seize": 2, "color": 3}
    assert list(unknown_options(options, ("size", "weight"))) == [
        ("seize", "did you mean 'size'?"),
        ("color", "known: size, weight"),
    ]
    assert list(unknown_options({"size": 1}, ())) == [("size", "known: none")]
