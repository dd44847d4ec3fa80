"""Experiments by columns: what is told of each is told in its row, and none is made unasked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modeldir.results import row
from modeldir.results.experiment_tree import read_tree
from modeldir.results.row import Finds, Found

EVAL = "metrics_eval_best_weights.json"


def plant(folder: Path, params: object, scores: object = None, **told: object) -> None:
    folder.mkdir(parents=True)
    files = {"params.json": params, EVAL: scores, "trial.json": told or None}
    for name, value in files.items():
        if value is not None:
            text = value if isinstance(value, str) else json.dumps(value)
            (folder / name).write_text(text)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Experiments of which no two tell the same names, and one that cannot be read."""
    plant(tmp_path / "t10", {"b": 1, "a": None}, {"loss": 0.5}, number=10)
    plant(tmp_path / "t9", {"c": True, "b": 2}, {"loss": 0.5, "accuracy": 0.9}, number=9)
    plant(tmp_path / "t8", '{"a": ', {"accuracy": float("nan"), "f1": 1})
    plant(tmp_path / "t7", {"a": {"deep": [1, 2]}}, number=7, note="why")
    return tmp_path


def test_each_column_has_what_the_rows_have(top: Path) -> None:
    """By columns or one by one: in the order of the names, with blanks where nothing is told."""
    finds = read_tree(top).found
    assert isinstance(finds, Finds)
    rows = [*finds]
    assert [each.name for each in rows] == [*finds.names()] == ["t7", "t8", "t9", "t10"]
    assert [each.number for each in rows] == [*finds.told("number")] == [7, None, 9, 10]
    assert [each.status.state for each in rows] == [*finds.status("state")]
    assert [*finds.are_read()] == [True, False, True, True]
    for name, cells in finds.named("used").items():
        assert [(each.used() or {}).get(name) for each in rows] == [*cells]
    for name, cells in finds.named("development").items():
        told = [each.scores.development.get(name) for each in rows]
        assert [*map(repr, told)] == [*map(repr, cells)]
        assert [each.value(name) for each in rows] == [*finds.ranked(name)]


def test_names_stand_in_the_order_in_which_the_rows_tell_them(top: Path) -> None:
    """Whatever was read first: the first row begins."""
    finds = Finds.of(read_tree(top).found)
    assert [*finds.named("used")] == ["a.deep", "c", "b", "a"]
    assert [*finds.named("development")] == ["accuracy", "f1", "loss"]


def test_what_was_made_tells_the_same_as_what_was_read(top: Path) -> None:
    """Rows that somebody chose, or made of several, are columns too."""
    read = Finds.of(read_tree(top).found)
    made = Finds.of(tuple(read))
    both = [
        [(name, [*cells]) for name, cells in each.named("used").items()] for each in (made, read)
    ]
    assert both[0] == both[1]
    assert [*made.told("note")] == [*read.told("note")] == ["why", None, None, None]
    assert repr(made[1:]) == repr(tuple(read)[1:])


def test_it_is_a_sequence(top: Path) -> None:
    """By place, from the end, by slice, again and again."""
    finds = read_tree(top).found
    assert [finds[-1].name, finds[0].name] == ["t10", "t7"]
    assert [each.name for each in finds[1:3]] == ["t8", "t9"]
    assert [*finds] == [*finds]
    assert len(finds) == 4
    assert finds == (*finds,)
    assert finds != ()
    with pytest.raises(IndexError):
        finds[4]


def test_the_best_is_the_only_one_that_is_made(tmp_path: Path, monkeypatch: Any) -> None:
    """Of ten thousand rows the best is one: the others stay columns."""
    for number in range(20):
        plant(tmp_path / f"t{number}", {"a": number}, {"accuracy": number / 100})
    made: list[Found] = []
    make = row.found_of

    def noted(*arguments: Any) -> Found:
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(row, "found_of", noted)
    best = read_tree(tmp_path).best()
    assert [best] == made
    assert made[0].name == "t19"


def test_none_is_best_of_none(tmp_path: Path) -> None:
    """An empty tree has no rows, no columns and no best."""
    finds = Finds.of(read_tree(tmp_path).found)
    assert len(finds) == 0
    assert [*finds.names(), *finds.told("note"), *finds.named("used")] == []
    assert finds.best("accuracy", "maximize") is None


def test_some_of_them_stay_columns(top: Path) -> None:
    """In their order, without the names that none of them tells."""
    finds = Finds.of(read_tree(top).found)
    some = finds.only([True, False, False, True])
    assert [*some] == [finds[0], finds[3]]
    assert [*some.names()] == ["t7", "t10"]
    assert {name: [*cells] for name, cells in some.named("used").items()} == {
        name: [*cells] for name, cells in Finds.of((finds[0], finds[3])).named("used").items()
    }
    assert len(finds.only([False] * 4)) == 0
    assert finds.only([False, False, True, False])[0] == finds[2]
